"""Small studies, and builds of them here: what the tests of the lineage share."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lth.config import FindTicket, Recipe
from lth.data import load_data
from lth.lineage import (
    Combined,
    DataSpec,
    Dense,
    Execution,
    Initial,
    Node,
    Plan,
    Pruned,
    Store,
    Trained,
    build,
    derivation,
)
from lth.models import ModelSpec
from lth.studies import Study, find_ticket_study
from lth.training import Seeds

HERE = Execution(workers=0)


def tiny() -> nn.Module:
    """64-16-10, ReLU."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def study(factory: Callable[..., nn.Module] = tiny, **fields: Any) -> Study:
    """A study of a tiny network on the digits: two levels, one replicate, both controls, 30 steps each."""
    settings = {
        "model": factory.__name__,
        "data": "digits",
        "levels": 2,
        "rate": 0.5,
        "replicates": 1,
        "duration": "30it",
    }
    settings |= {"batch_size": 20, "evaluate_every": 10, "lr": 0.01}
    return find_ticket_study(FindTicket(**{**settings, **fields}), factory, load_data("digits"))


def built(folder: Path, made: Study, execution: Execution = HERE) -> Store:
    """A store in which this study is finished."""
    store = Store(folder)
    assert build(made.targets, store, made.sources, execution) == {}
    return store


def runs(made: Study, arm: str) -> list[Trained]:
    """The trainings of one arm, by level, then replicate."""
    return [run.trained for run in made.runs if run.arm == arm]


def content(store: Store, made: Study) -> dict[str, tuple[dict[str, torch.Tensor], dict[str, Any]]]:
    """Weights and metrics of every training of a study, checksums verified."""
    nodes = [node for node in derivation(*made.targets).values() if isinstance(node, Trained)]
    return {node.key: (store.read_weights(node), store.read_metrics(node)) for node in nodes}


def assert_same_content(left: Store, right: Store, made: Study) -> None:
    """Two stores hold the same study, bit for bit."""
    one, other = content(left, made), content(right, made)
    assert one.keys() == other.keys()
    for key, (weights, metrics) in one.items():
        assert metrics == other[key][1]
        assert weights.keys() == other[key][0].keys()
        for name, value in weights.items():
            assert torch.equal(value.view(torch.uint8), other[key][0][name].view(torch.uint8)), (key, name)


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def example_nodes() -> dict[str, Node]:
    """One node of each kind, of a made-up derivation with a rewind step; nothing in it depends on this machine."""
    from lth.config import Pruning, Sparsifier
    from lth.lineage import Checkpoint, Shuffled, Sparsified, Whole

    initial = Initial(
        model=ModelSpec(name="lenet-300-100", arguments={"input_shape": [28, 28], "num_classes": 10}), seed=7
    )
    data = DataSpec(digest="d" * 64, validation=5000)
    recipe = Recipe(duration="50000it", optimizer="sgd", optimizer_options={"momentum": 0.9})
    seeds = Seeds(init=7, order=8, augmentation=9)
    dense = Trained(start=initial, masks=Dense(), data=data, recipe=recipe, seeds=seeds)
    checkpoint = Checkpoint(trained=dense, step=100)
    pruned = Pruned(trained=dense, pruning=Pruning(rates={"output.weight": 0.1}), level=1)
    combined = Combined(masks=pruned, kept=checkpoint)
    ticket = Trained(start=combined, masks=pruned, data=data, recipe=recipe, seeds=seeds, first_step=100)
    whole = Whole(model=initial.model)
    sparsified = Trained(
        start=initial, masks=whole, data=data, recipe=recipe, seeds=seeds, sparsifier=Sparsifier(method="gradual")
    )
    return {
        "Whole": whole,
        "sparsified": sparsified,
        "Sparsified": Sparsified(trained=sparsified),
        "Initial": initial,
        "Dense": Dense(),
        "Trained": dense,
        "Checkpoint": checkpoint,
        "Pruned": pruned,
        "Shuffled": Shuffled(masks=pruned),
        "Combined": combined,
        "ticket": ticket,
    }


def interrupt() -> None:
    """Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)


class Notes:
    """An observer that notes what it is told, and can do something at the first progress report past a step."""

    def __init__(self, at_step: int = 0, act: Callable[[], None] | None = None) -> None:
        self.started_keys: list[str] = []
        self.finished_keys: list[str] = []
        self.skipped_reasons: dict[str, str] = {}
        self.plans: list[Plan] = []
        self.texts: list[str] = []
        self._at_step, self._act = at_step, act

    def planned(self, plan: Plan) -> None:
        """Notes it."""
        self.plans.append(plan)

    def started(self, key: str) -> None:
        """Notes it."""
        self.started_keys.append(key)

    def progress(self, key: str, step: int, accuracy: float | None) -> None:
        """Acts once."""
        if self._act is not None and step >= self._at_step:
            act, self._act = self._act, None
            act()

    def finished(self, key: str) -> None:
        """Notes it."""
        self.finished_keys.append(key)

    def skipped(self, key: str, reason: str) -> None:
        """Notes it."""
        self.skipped_reasons[key] = reason

    def waiting(self, keys: object) -> None:
        """Nothing to note."""

    def noted(self, text: str) -> None:
        """Notes it."""
        self.texts.append(text)
