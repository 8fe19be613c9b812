"""Small networks, members and a journal on disk: what the tests of the engine share."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lth.config import Recipe
from lth.data import Split, load_data, split
from lth.data.order import seeded_generator
from lth.models import LeNet300100
from lth.sparsity import Masks, Weights, combine
from lth.training import History, Member, Seeds, Snapshot, snapshot_from_bytes

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


def lenet() -> nn.Module:
    """LeNet-300-100 for 8 x 8 images."""
    return LeNet300100((8, 8), 10)


@cache
def digits_split() -> Split:
    """The digits, 100 examples held out."""
    return split(load_data("digits"), 100, 0)


def recipe(**fields: Any) -> Recipe:
    """A short recipe, in steps."""
    return Recipe(**{"batch_size": 20, "duration": "12it", "evaluate_every": 5, "lr": 0.01, **fields})


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


def whole_member(make: Make, seed: int) -> Member:
    """A member that starts dense; every matrix may be pruned."""
    start = start_of(make, seed)
    masks = {name: torch.ones(value.shape, dtype=torch.bool) for name, value in masks_of(make, seed).items()}
    return Member(f"member-{seed}", start, masks, Seeds(init=seed, order=seed, augmentation=seed))


def same_bits(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors agree bit for bit (0.0 and -0.0 differ, NaN equals itself)."""
    assert (left.dtype, left.shape) == (right.dtype, right.shape)
    return torch.equal(*(each.contiguous().reshape(-1).view(torch.uint8) for each in (left, right)))


def assert_same_bits(left: Weights, right: Weights) -> None:
    """Two states agree bit for bit."""
    assert left.keys() == right.keys()
    assert [name for name in left if not same_bits(left[name], right[name])] == []


class FolderJournal:
    """A journal that writes snapshots to files, keeps checkpoints, and asks to stop at one step."""

    def __init__(self, folder: Path, stop_at: int | None = None) -> None:
        self.folder, self.stop_at = folder, stop_at
        self.checkpoints: dict[tuple[str, int], Weights] = {}
        self.step = -1

    def resume(self, key: str) -> list[Snapshot]:
        """The snapshot in the folder."""
        path = self.folder / key
        return [snapshot_from_bytes(path.read_bytes(), key)] if path.exists() else []

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None:
        """Writes it over the one before, in place: a training that aliases its file would show."""
        (self.folder / key).write_bytes(snapshot.to_bytes())

    def save_checkpoint(self, key: str, step: int, weights: Weights) -> None:
        """Keeps it as it was handed over: an alias of live weights would show."""
        self.checkpoints[key, step] = weights

    def progress(self, key: str, step: int, history: History) -> None:
        """Notes the step."""
        self.step = step

    def should_stop(self) -> bool:
        """At the one step."""
        return self.step == self.stop_at
