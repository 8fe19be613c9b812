"""Steps a second of LeNet-300-100: this engine against the usual loop, workers against threads."""

import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from bench.ratio import Row, compare_rates
from lth.config import Pruning, Recipe
from lth.data import Data, from_arrays, split
from lth.lineage import (
    Combined,
    DataSpec,
    Dense,
    Execution,
    Initial,
    Pruned,
    Sources,
    Store,
    Trained,
    build,
    derivation,
)
from lth.lineage.build import one_thread
from lth.models import LeNet300100, describe
from lth.training import Member, seeds_of, train

STEPS, TURNS, BATCH = 300, 7, 60


def mnist_shaped() -> Data:
    """Random images of MNIST's number and shape: speed does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60_100, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (60_100,), generator=generator)
    return from_arrays(images[:60_000], labels[:60_000], images[60_000:], labels[60_000:], name="mnist-shaped")


def engine_against_usual_loop(data: Data, density: float) -> Row:
    """This engine against a loop written the usual way, both in one thread on the same network and masks."""
    parts = split(data, validation=100, seed=0)
    recipe = Recipe(duration=f"{STEPS}it", evaluate_every=STEPS, batch_size=BATCH)
    module = LeNet300100()
    start = {name: value.detach().clone() for name, value in module.state_dict().items()}
    masks = {name: torch.rand_like(value) < density for name, value in start.items() if value.ndim == 2}
    masks = masks if density < 1 else {}
    member = Member("bench", start, masks, seeds_of(0, 0))

    def ours() -> None:
        train([member], LeNet300100(), parts, recipe, until=STEPS)

    def usual() -> None:
        network = LeNet300100()
        loader = DataLoader(TensorDataset(parts.x_train, parts.y_train), batch_size=BATCH, shuffle=True)
        optimizer = torch.optim.Adam(network.parameters(), lr=1.2e-3)
        for step, (images, labels) in enumerate(loader):
            if step == STEPS:
                break
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    if name in masks:
                        parameter.mul_(masks[name])

    with one_thread():
        what = f"engine / usual loop, {100 * density:.0f} % density, one thread"
        return compare_rates(what, ours, usual, STEPS, "steps/s", TURNS)


def workers_against_threads(data: Data) -> Row:
    """Four trainings by two one-thread workers, against the same in one process with two threads; start-up left out."""
    spec = DataSpec(digest=data.digest, validation=100)
    sources = Sources(models={"lenet": LeNet300100}, data={data.digest: data})
    model = describe("lenet", LeNet300100, data.input_shape, data.num_classes)
    steps = 4 * STEPS
    recipe = Recipe(duration=f"{steps}it", evaluate_every=steps)
    parts = split(data, validation=100, seed=0)

    def trained(replicate: int) -> Trained:
        seeds = seeds_of(0, replicate)
        dense = Trained(
            start=Initial(model=model, seed=seeds.init), masks=Dense(), data=spec, recipe=recipe, seeds=seeds
        )
        masks = Pruned(trained=dense, pruning=Pruning(), level=1)
        return Trained(
            start=Combined(masks=masks, kept=dense.start), masks=masks, data=spec, recipe=recipe, seeds=seeds
        )

    def in_workers() -> float:
        targets = [trained(0), trained(1)]
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            build(targets, store, sources, Execution(workers=2))
            nodes = [node for node in derivation(*targets).values() if isinstance(node, Trained)]
            # Each worker trains one replicate, dense and ticket: side by side, so half of the sum is the wall time.
            return sum(store.manifest(node.key)["provenance"]["seconds"] for node in nodes) / 2

    def in_threads() -> None:
        torch.set_num_threads(2)
        for replicate in range(4):
            module = LeNet300100()
            start = {name: value.detach().clone() for name, value in module.state_dict().items()}
            train([Member("bench", start, {}, seeds_of(0, replicate))], module, parts, recipe, until=steps)

    threads = torch.get_num_threads()
    try:
        what = "two one-thread workers / one process with two threads"
        return compare_rates(what, in_workers, in_threads, 4 * steps, "steps/s", 5)
    finally:
        torch.set_num_threads(threads)
