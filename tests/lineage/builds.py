"""Small studies, builds of them here, and one node of each kind: what tests of several rooms share."""

import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lth.config import Pruning, Sparsifier, SupermaskSettings, TaskSpec, Training
from lth.data import load_data
from lth.lineage import (
    Ablated,
    Checkpoint,
    Combined,
    Complement,
    Constant,
    DataSpec,
    Dense,
    Evaluated,
    Execution,
    Given,
    Grafted,
    Initial,
    Interpolated,
    Intervened,
    Job,
    LearnedMasks,
    MaskedNetwork,
    Merged,
    Node,
    Noise,
    Overlapped,
    Permuted,
    Plan,
    Pretrained,
    Prunable,
    Pruned,
    Reshuffled,
    Shuffled,
    Signed,
    Sparsified,
    Store,
    SuperWeightsFound,
    Trained,
    Transplanted,
    Unobserved,
    ZeroedByMovement,
    Zeros,
    build,
    derivation,
)
from lth.lineage.files import weights_from_bytes
from lth.models import ModelSpec
from lth.sparsity import Weights
from lth.studies.find_ticket import FIND_TICKET
from lth.studies.find_ticket_settings import FindTicket
from lth.studies.prepare import Study, prepare
from lth.superweights.coordinates import Coordinate
from lth.superweights.interventions import Intervention
from lth.training import Seeds

HERE = Execution(workers=0)


def tiny() -> nn.Module:
    """64-16-10, ReLU."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def study(factory: Callable[..., nn.Module] = tiny, **fields: Any) -> Study:
    """A search with a tiny network on the digits: two levels, one replicate, both controls, 30 steps each."""
    settings = {
        "model": factory.__name__,
        "data": "digits",
        "levels": 2,
        "rate": 0.5,
        "replicates": 1,
        "duration": "30it",
    }
    settings |= {"batch_size": 20, "evaluate_every": 10, "lr": 0.01}
    return prepare(FIND_TICKET, FindTicket(**{**settings, **fields}), factory, load_data("digits"))


def built(folder: Path, made: Study, execution: Execution = HERE) -> Store:
    """A store in which this study is finished."""
    store = Store(folder)
    assert build(made.targets, store, made.sources, execution) == {}
    return store


def jobs(made: Study, arm: str) -> list[Trained]:
    """The trainings of one arm, by level, then replicate."""
    found = [point.job for point in made.points if point.arm == arm]
    assert all(isinstance(job, Trained) for job in found)
    return found  # type: ignore[return-value]


def weights_in(store: Store, node: Node) -> Weights:
    """The state that a store holds of a training or a checkpoint, checksum verified."""
    return weights_from_bytes(store.read(node, "weights.safetensors"))


def metrics_in(store: Store, job: Job) -> dict[str, Any]:
    """What a store holds of a job's measurements, checksum verified."""
    return json.loads(store.read(job, "metrics.json"))  # type: ignore[no-any-return]


def content(store: Store, *targets: Job) -> dict[str, tuple[Weights, dict[str, Any]]]:
    """Weights and metrics of every job that some targets stand on, themselves included."""
    found = [node for node in derivation(*targets).values() if isinstance(node, Job)]
    return {
        node.key: (weights_in(store, node) if isinstance(node, Trained) else {}, metrics_in(store, node))
        for node in found
    }


def same_bits(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors agree bit for bit (0.0 and -0.0 differ, NaN equals itself)."""
    if (left.dtype, left.shape) != (right.dtype, right.shape):
        return False
    return torch.equal(*(each.contiguous().reshape(-1).view(torch.uint8) for each in (left, right)))


def assert_same_weights(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> None:
    """Two states agree bit for bit."""
    assert left.keys() == right.keys()
    assert [name for name in left if not same_bits(left[name], right[name])] == []


def assert_same_content(left: Store, right: Store, *targets: Job) -> None:
    """Two stores hold the same results, bit for bit."""
    one, other = content(left, *targets), content(right, *targets)
    for key, (weights, metrics) in one.items():
        assert metrics == other[key][1]
        assert_same_weights(weights, other[key][0])


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def example_nodes() -> dict[str, Node]:
    """One node of each kind, and more; of a made-up derivation with a rewind step, free of this machine."""
    model = ModelSpec(name="lenet-300-100", arguments={"input_shape": [28, 28], "num_classes": 10})
    task = TaskSpec(arguments={"num_classes": 10})
    training = Training(
        task=task, steps=50_000, batch_size=60, lr=1.2e-3, optimizer="sgd", optimizer_options={"momentum": 0.9}
    )
    data, seeds = DataSpec(digest="d" * 64, validation=5000), Seeds(init=7, order=8, augmentation=9)
    initial, fresh = Initial(spec=model, seed=7), Initial(spec=model, seed=11)
    dense = Trained(start=initial, masks=Dense(), data=data, training=training, seeds=seeds)
    checkpoint = Checkpoint(trained=dense, step=100)
    pruned = Pruned.after(dense, Pruning(rates={"output.weight": 0.1}), 1)
    combined = Combined(masks=pruned, kept=checkpoint, pruned=Zeros(like=initial))
    later = training.with_(first_step=100)
    ticket = Trained(start=combined, masks=pruned, data=data, training=later, seeds=seeds)
    full = Prunable(model=model)
    within = training.with_(sparsifier=Sparsifier(method="gradual"))
    pruning = Trained(start=initial, masks=full, data=data, training=within, seeds=seeds)
    over = Initial(spec=model.model_copy(update={"supermask": SupermaskSettings()}), seed=7)
    supermask = Trained(start=over, masks=Dense(), data=data, training=training, seeds=seeds)
    learned = LearnedMasks(trained=supermask)
    shuffled = Shuffled(masks=pruned)
    return {
        "Initial": initial,
        "Pretrained": Pretrained(spec=model, digest="e" * 64, seed=3, fresh=("output.weight",)),
        "Dense": Dense(),
        "Prunable": full,
        "Trained": dense,
        "ticket": ticket,
        "sparsified": pruning,
        "supermask": supermask,
        "Checkpoint": checkpoint,
        "Pruned": pruned,
        "Shuffled": shuffled,
        "Given": Given(model=model, digest="e" * 64, density=0.25),
        "Sparsified": Sparsified(trained=pruning),
        "Merged": Merged(masks=(pruned, shuffled)),
        "Complement": Complement(masks=pruned),
        "LearnedMasks": learned,
        "Combined": combined,
        "Zeros": Zeros(like=initial),
        "Permuted": Permuted(of=initial),
        "Reshuffled": Reshuffled(of=initial, masks=pruned),
        "Constant": Constant(of=initial),
        "Signed": Signed(of=fresh, signs=initial),
        "Noise": Noise(of=initial),
        "ZeroedByMovement": ZeroedByMovement(trained=dense, initial=initial, otherwise=initial),
        "Interpolated": Interpolated(first=dense, second=ticket, share=0.25),
        "Ablated": Ablated(of=dense, places=(("output.weight", (0, None)), ("hidden1.weight", (1, 2)))),
        "Grafted": Grafted(of=dense, donor=initial, names=("output.weight", "output.bias")),
        "Transplanted": Transplanted(of=initial, source=dense, places=(("output.weight", (0, 1)),)),
        "MaskedNetwork": MaskedNetwork(trained=supermask, masks=learned),
        "Evaluated": Evaluated(weights=(dense, ticket), data=data, task=task),
        "Intervened": Intervened(
            weights=dense,
            data=data,
            intervention=Intervention(kind="scale", coordinates=(Coordinate(block=11, output=507, input=1229),)),
        ),
        "Overlapped": Overlapped(first=pruned, second=shuffled),
        "SuperWeightsFound": SuperWeightsFound(weights=dense, prompts=((1, 2), (3,))),
    }


def interrupt() -> None:
    """Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)


class Notes(Unobserved):
    """An observer that notes what it is told, and can do something at the first progress report past a step."""

    def __init__(self, at_step: int = 0, act: Callable[[], None] | None = None) -> None:
        self.started_keys: list[str] = []
        self.finished_keys: list[str] = []
        self.skipped_reasons: dict[str, str] = {}
        self.plans: list[Plan] = []
        self.texts: list[str] = []
        self.steps: dict[str, list[int]] = {}
        self.values: dict[str, dict[str, float]] = {}
        self._at_step, self._act = at_step, act

    def planned(self, plan: Plan) -> None:
        self.plans.append(plan)

    def started(self, key: str) -> None:
        self.started_keys.append(key)

    def progress(self, key: str, step: int, values: Mapping[str, float]) -> None:
        self.steps.setdefault(key, []).append(step)
        self.values.setdefault(key, {}).update(values)
        if self._act is not None and step >= self._at_step:
            act, self._act = self._act, None
            act()

    def finished(self, key: str) -> None:
        self.finished_keys.append(key)

    def skipped(self, key: str, reason: str) -> None:
        self.skipped_reasons[key] = reason

    def noted(self, text: str) -> None:
        self.texts.append(text)
