"""Small networks, members and a journal on disk: what the tests of the engine share."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lth.config import TaskSpec, Training
from lth.data import Arrays, Examples, Parts, load_data, split
from lth.data.order import seeded_generator
from lth.models import LeNet300100
from lth.sparsity import Masks, Weights, combine
from lth.tasks.token_targets import IGNORED
from lth.training import (
    History,
    Journal,
    Member,
    NoJournal,
    Outcome,
    Seeds,
    Snapshot,
    Where,
    snapshot_from_bytes,
    train,
)

Make = Callable[[], nn.Module]


class ConvNet(nn.Module):
    """Two convolutions with batch norm; a bias before it has no gradient but rounding, which Adam would blow up."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.norm2 = nn.Conv2d(6, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.output = nn.Linear(8, 10)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        hidden = F.relu(self.norm1(self.conv1(inputs.unsqueeze(1))))
        hidden = F.relu(self.norm2(self.conv2(hidden)))
        return self.output(hidden.mean((2, 3)))


class TiedNet(nn.Module):
    """Two Linears that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Linear(64, 12)
        self.first, self.second = nn.Linear(12, 12), nn.Linear(12, 12)
        self.second.weight = self.first.weight
        self.output = nn.Linear(12, 10)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        hidden = torch.tanh(self.input(inputs.flatten(1)))
        return self.output(torch.tanh(self.second(torch.tanh(self.first(hidden)))))


class TiedEmbedding(nn.Module):
    """An embedding whose weight is the output layer's too, as in language models: predicts a class from token 0..16."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(17, 6)
        self.hidden = nn.Linear(6, 6)
        self.output = nn.Linear(6, 17, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) of pixels in 0..1 -> (batch, 17)
        tokens = (inputs.flatten(1) * 16).long()
        return self.output(torch.tanh(self.hidden(self.embedding(tokens).mean(1))))


def small_net() -> nn.Module:
    """64-12-10, ReLU."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))


def dropout_net() -> nn.Module:
    """64-12-10 with dropout: training draws at every step."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 10))


def diabetes_net() -> nn.Module:
    """10-8-1, tanh: one more axis than the targets have."""
    return nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 1))


def token_net() -> nn.Module:
    """The next of 11 tokens, from the present one alone."""
    return nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 11))


def lenet() -> nn.Module:
    """LeNet-300-100 for 8 x 8 images."""
    return LeNet300100((8, 8), 10)


@cache
def digits() -> Parts:
    """The digits, 100 examples held out."""
    return split(load_data("digits"), 100, 0)


def x_and_y(examples: Examples) -> tuple[Tensor, Tensor]:
    """All inputs and targets of a part."""
    batch = examples.take(torch.arange(len(examples)), torch.device("cpu"))
    return batch["x"], batch["y"]


def with_part(parts: Parts, name: str, x: Tensor, y: Tensor) -> Parts:
    """The same data but for one part."""
    return {**parts, name: Arrays({"x": x, "y": y})}


@cache
def tokens() -> Parts:
    """Windows of 7 tokens, each the one before plus 1 or 2; of some, most targets do not count."""
    generator = seeded_generator("tokens of a test")
    parts: dict[str, Examples] = {}
    for name, number in (("train", 200), ("validation", 50), ("test", 50)):
        steps = torch.randint(1, 3, (number, 8), generator=generator)
        stream = steps.cumsum(1) % 11  # (window, position)
        is_padding = torch.rand(number, 1, generator=generator) < torch.rand(1, 7, generator=generator)
        parts[name] = Arrays({"x": stream[:, :-1].clone(), "y": stream[:, 1:].masked_fill(is_padding, IGNORED)})
    return parts


def language_model() -> TaskSpec:
    """The task of those tokens."""
    return TaskSpec(name="language-model", arguments={"vocabulary": 11})


def classification(num_classes: int = 10, **arguments: Any) -> TaskSpec:
    """The task of the digits."""
    return TaskSpec(arguments={"num_classes": num_classes, **arguments})


def short_training(**fields: Any) -> Training:
    """A short training of a classifier."""
    usual = {"task": classification(), "batch_size": 20, "steps": 12, "evaluate_every": 5, "lr": 0.01}
    return Training(**{**usual, **fields})


def run(
    members: Sequence[Member],
    module: nn.Module,
    training: Training,
    *,
    parts: Parts | None = None,
    until: int | None = None,
    checkpoints: Collection[int] = (),
    journal: "FolderJournal | None" = None,
    **where: Any,
) -> list[Outcome]:
    """Train on the digits by the torch engine, unless told otherwise."""
    notes: Journal = NoJournal(until) if journal is None else journal
    notes.until, notes.checkpoints = until, checkpoints
    place = Where(**{"engine": "torch", **where})
    return train(members, training, digits() if parts is None else parts, module=module, where=place, journal=notes)


def start_of(make: Make, seed: int) -> Weights:
    """A freshly drawn state."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return {name: value.clone() for name, value in make().state_dict().items()}


def masks_of(make: Make, seed: int, density: float = 0.6) -> Masks:
    """Random masks for every matrix that has a name of its own."""
    generator = seeded_generator("masks of a test", seed)  # the plain seed would draw the weights' own numbers again
    shapes = {name: value.shape for name, value in make().named_parameters() if value.ndim > 1}
    return {name: torch.rand(shape, generator=generator) < density for name, shape in shapes.items()}


def member(make: Make, seed: int, *, density: float | None = 0.6, fill: float = 0.0) -> Member:
    """A member with weights, masks and seeds of its own; pruned entries start at `fill`."""
    start = start_of(make, seed)
    masks = {} if density is None else masks_of(make, seed, density)
    filled = {name: torch.full_like(start[name], fill) for name in masks}
    return Member(
        f"member-{seed}", combine(masks, start, filled), masks, Seeds(init=seed, order=seed, augmentation=seed)
    )


def dense_member(make: Make, seed: int) -> Member:
    """A member that starts dense; every matrix may be pruned."""
    start = start_of(make, seed)
    masks = {name: torch.ones(value.shape, dtype=torch.bool) for name, value in masks_of(make, seed).items()}
    return Member(f"member-{seed}", start, masks, Seeds(init=seed, order=seed, augmentation=seed))


def with_seeds(one: Member, **seeds: int) -> Member:
    """The same member but for some of its seeds."""
    return replace(one, seeds=one.seeds.model_copy(update=seeds))


def same_bits(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors agree bit for bit (0.0 and -0.0 differ, NaN equals itself)."""
    assert (left.dtype, left.shape) == (right.dtype, right.shape)
    return torch.equal(*(each.contiguous().reshape(-1).view(torch.uint8) for each in (left, right)))


def assert_same_bits(left: Weights, right: Weights) -> None:
    """Two states agree bit for bit."""
    assert left.keys() == right.keys()
    assert [name for name in left if not same_bits(left[name], right[name])] == []


def assert_same(left: Sequence[Outcome], right: Sequence[Outcome]) -> None:
    """Weights, histories, masks and traces agree bit for bit."""
    for one, other in zip(left, right, strict=True):
        assert_same_bits(one.weights, other.weights)
        assert one.history == other.history
        assert_same_bits(one.masks or {}, other.masks or {})
        assert one.traces.keys() == other.traces.keys()
        for kind, values in one.traces.items():
            assert_same_bits(values, other.traces[kind])
        assert (one.moments is None) == (other.moments is None)
        for entry, values in (one.moments or {}).items():
            assert_same_bits(values, (other.moments or {})[entry])


def assert_close(outcome: Outcome, other: Outcome, tolerance: float = 1e-9) -> None:
    """Weights, buffers and histories agree but for rounding."""
    assert outcome.weights.keys() == other.weights.keys()
    for name, value in other.weights.items():
        torch.testing.assert_close(outcome.weights[name], value, rtol=0, atol=tolerance, msg=name)
    one, two = outcome.history, other.history
    assert (one.steps, one.diverged_at, one.mask_changes) == (two.steps, two.diverged_at, two.mask_changes)
    assert one.curves.keys() == two.curves.keys()
    for name, values in two.curves.items():
        assert one.curves[name] == pytest.approx(values, abs=tolerance), name
    assert one.end == pytest.approx(two.end, abs=tolerance)
    assert one.at_best == pytest.approx(two.at_best, abs=tolerance)
    assert (one.best is None or one.best.step) == (two.best is None or two.best.step)


class FolderJournal(NoJournal):
    """A journal that writes snapshots to files, keeps checkpoints, and asks to stop at one step."""

    def __init__(self, folder: Path, stop_at: int | None = None) -> None:
        super().__init__()
        self.folder, self.stop_at = folder, stop_at
        self.kept: dict[tuple[str, int], Weights] = {}
        self.step = -1

    def resume(self, key: str) -> list[Snapshot]:
        path = self.folder / key
        return [snapshot_from_bytes(path.read_bytes(), key)] if path.exists() else []

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None:
        """Write it over the one before, in place: a training that aliases its file would show."""
        (self.folder / key).write_bytes(snapshot.to_bytes())

    def save_checkpoint(self, key: str, step: int, weights: Weights) -> None:
        """Keep it as it was handed over: an alias of live weights would show."""
        self.kept[key, step] = weights

    def progress(self, key: str, step: int, history: History) -> None:
        self.step = step

    def should_stop(self) -> bool:
        return self.step == self.stop_at


class EveryStep(FolderJournal):
    """A journal that keeps every snapshot in memory: one a step if `snapshot_seconds` is 0."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.snapshots: list[Snapshot] = []

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
