"""Convolutions in the sparse engine equal those of the torch engine: any chain, masks, image size and batch size."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from sparse_trainings import largest_difference, train_one, train_with_stops
from torch import nn
from trainings import (
    FolderJournal,
    Make,
    assert_same,
    assert_same_bits,
    classification,
    digits,
    member,
    same_bits,
    short_training,
)

from lth.data import Arrays, Parts
from lth.data.order import seeded_generator
from lth.models.conv_frankle import FrankleConv
from lth.training import Member, Where
from lth.training.engines import ENGINES, Engine

CLOSE = 1e-9


def images(shape: tuple[int, ...], classes: int = 5) -> Parts:
    """Made-up images: 130, 20 and 20."""
    generator = seeded_generator("made-up images", *shape)
    x, y = torch.randn(170, *shape, generator=generator), torch.randint(0, classes, (170,), generator=generator)
    cuts = {"train": slice(0, 130), "validation": slice(130, 150), "test": slice(150, 170)}
    return {name: Arrays({"x": x[cut], "y": y[cut]}) for name, cut in cuts.items()}


def chain(shape: tuple[int, int, int], widths: str, classes: int = 5, *, bias: bool = True) -> nn.Module:
    """Convolutions of so many channels, `p` for a pooling, then two linear layers."""
    channels, height, width = shape
    steps: list[nn.Module] = []
    for step in widths.split():
        if step == "p":
            steps.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        else:
            steps += [nn.Conv2d(channels, int(step), 3, padding=1, bias=bias), nn.ReLU()]
            channels = int(step)
    features = channels * height * width
    return nn.Sequential(*steps, nn.Flatten(), nn.Linear(features, 6, bias=bias), nn.ReLU(), nn.Linear(6, classes))


@dataclass(frozen=True)
class Case:
    """A training."""

    shape: tuple[int, int, int]
    widths: str
    density: float | None = 0.4
    batch: int = 13
    bias: bool = True
    empty: str = ""  # the weight that is pruned altogether
    unread: str = ""  # the weight whose second input channel is pruned: nothing reads it
    fill: float = 0.0
    fields: dict[str, Any] = field(default_factory=dict)

    def make(self) -> nn.Module:
        return chain(self.shape, self.widths, bias=self.bias)

    def member(self) -> Member:
        one = member(self.make, 1, density=self.density, fill=self.fill)
        for name, mask in one.masks.items():
            if name == self.empty:
                mask[:] = False
            if name == self.unread:
                mask[:, 1] = False
            one.start[name][~mask] = self.fill
        return one


MOMENTUM = {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9, "nesterov": True}, "lr": 0.05}
CASES = {
    "pooled": Case((3, 8, 8), "4 5 p"),
    "two poolings, odd sizes": Case((2, 9, 15), "4 p 3 6 p", fields=MOMENTUM),
    "without pooling": Case((1, 4, 3), "3 2", fields={"weight_decay": 0.02, "optimizer": "adamw"}),
    "wider than a run, no biases": Case((1, 3, 21), "3 p 4", bias=False, fields={"clip": 0.05}),
    "dense": Case((3, 4, 4), "4 5 p", density=None),
    "many channels": Case((3, 4, 4), "40 36 p 3", density=0.2),
    "few survivors": Case((3, 6, 6), "9 9 p", density=0.02, fields={"minimise": "mean_squared_error"}),
    "one layer has none": Case((2, 6, 6), "4 5 p 3", empty="2.weight"),
    "a channel leads nowhere": Case((2, 6, 6), "4 5 p 3", unread="2.weight", fields={"weight_decay": 0.1}),
    "pruned at a value": Case((2, 6, 6), "4 p", fill=0.1, fields=MOMENTUM),
    "a batch of two parts": Case((2, 5, 5), "4 3 p", batch=90),
}


@pytest.mark.parametrize("name", CASES)
def test_the_engines_agree_in_double_precision(name: str) -> None:
    case = CASES[name]
    minimise = case.fields.get("minimise", "cross_entropy")
    fields = {key: value for key, value in case.fields.items() if key != "minimise"}
    task = classification(5, minimise=minimise)
    training = short_training(task=task, batch_size=case.batch, precision="float64", **fields)
    one, parts = case.member(), images(case.shape)
    by_torch, by_sparse = (
        train_one(one, case.make(), training, parts=parts, engine=engine) for engine in ("torch", "sparse")
    )
    assert by_sparse.engine == "sparse"
    assert largest_difference(by_torch.weights, by_sparse.weights) < CLOSE
    for curve in ("validation/loss", "train/loss", "validation/accuracy"):
        assert by_sparse.history.curves[curve] == pytest.approx(by_torch.history.curves[curve], abs=CLOSE)
    assert by_sparse.history.end == pytest.approx(by_torch.history.end, abs=CLOSE)
    assert by_sparse.history.at_best == pytest.approx(by_torch.history.at_best, abs=CLOSE)
    for weight, mask in one.masks.items():
        assert same_bits(by_sparse.weights[weight][~mask], one.start[weight].double()[~mask])
    assert any(not torch.equal(value, one.start[weight].double()) for weight, value in by_sparse.weights.items())


def frankle(depth: int, dropout: float = 0.0) -> Callable[[], nn.Module]:
    """One of the published networks, for the digits."""
    return lambda: FrankleConv((8, 8), 10, depth=depth, dropout=dropout)


@pytest.mark.parametrize("depth", [2, 6])
def test_the_published_networks(depth: int) -> None:
    training = short_training(batch_size=13, precision="float64", steps=2, evaluate_every=4, lr=1e-3)
    one = member(frankle(depth), 2, density=0.05)
    ends = [train_one(one, frankle(depth)(), training, engine=engine).weights for engine in ("torch", "sparse")]
    assert largest_difference(*ends) < CLOSE
    assert list(ends[1]) == list(frankle(depth)().state_dict())


@pytest.mark.parametrize("shape", [(6, 5, 3), (6, 5), (3, 6, 5)])
def test_images_in_any_order(shape: tuple[int, ...]) -> None:
    """As `as_images` of the published networks takes them."""

    def make() -> nn.Module:
        return FrankleConv(shape, 5)

    training = short_training(task=classification(5), batch_size=13, precision="float64", steps=2, lr=1e-3)
    one, parts = member(make, 2, density=0.05), images(shape)
    ends = [train_one(one, make(), training, parts=parts, engine=engine).weights for engine in ("torch", "sparse")]
    assert largest_difference(*ends) < CLOSE


def small(dropout: float = 0.0) -> Make:
    """Conv-2 on the digits, with fewer channels."""

    def make() -> nn.Module:
        net = FrankleConv((8, 8), 10, dropout=dropout)
        net.convolutions = nn.ModuleList([nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)])
        net.hidden1 = nn.Linear(8 * 16, 256)
        return net

    return make


FIELDS: dict[str, dict[str, Any]] = {
    "adam": {"lr": 0.005},
    "momentum": {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "lr": 0.05, "weight_decay": 0.01},
}


@pytest.mark.parametrize("name", FIELDS)
def test_stop_and_resume_equals_never_stopping(name: str, tmp_path: Path) -> None:
    make = small(dropout=0.3)
    training = short_training(batch_size=13, precision="float64", steps=20, traces=["moments"], **FIELDS[name])
    one = member(make, 1, density=0.3)
    whole = train_one(one, make(), training)
    assert_same([whole], [train_with_stops(one, make, training, tmp_path, [1, 7, 13])])


def test_checkpoints_and_rewinding(tmp_path: Path) -> None:
    """Plain SGD has no state: from a checkpoint, the rest gives the same end."""
    make, training = small(dropout=0.3), short_training(batch_size=13, precision="float64", optimizer="sgd", lr=0.05)
    one, journal = member(make, 1, density=0.3), FolderJournal(tmp_path)
    whole = train_one(one, make(), training, checkpoints=[4], journal=journal)
    kept = journal.kept[one.key, 4]
    assert_same_bits(kept, train_one(one, make(), training, until=4).weights)
    again = train_one(Member("rewound", kept, one.masks, one.seeds), make(), training.with_(first_step=4))
    assert_same_bits(again.weights, whole.weights)


def test_moments_are_carried(tmp_path: Path) -> None:
    """Adam's moments at a step, brought by a member, let it go on as if nothing had been."""
    make, training = small(), short_training(batch_size=13, precision="float64", traces=["moments"])
    one = member(make, 1, density=0.3)
    whole, half = train_one(one, make(), training), train_one(one, make(), training, until=6)
    later = Member(one.key, half.weights, one.masks, one.seeds, moments=half.moments)
    assert_same_bits(train_one(later, make(), training.with_(first_step=6)).weights, whole.weights)


def engine_of(one: Member, make: Make, training: Any) -> Engine:
    return ENGINES["sparse"].make([one], make(), digits(), training, Where())


def test_numbers_do_not_depend_on_how_a_training_is_cut() -> None:
    """With evaluations in between, and more images than are passed to compiled code at a time."""
    make, training = small(dropout=0.2), short_training(batch_size=13, precision="float64", steps=400)
    one = member(make, 3, density=0.2)
    whole, cut = engine_of(one, make, training), engine_of(one, make, training)
    losses, step = [], 0
    for count in (1, 30, 89):
        losses.append(cut.advance(step, count))
        cut.evaluate("validation")
        step += count
    assert torch.equal(whole.advance(0, 120), torch.cat(losses))
    assert_same_bits(whole.state_of(0), cut.state_of(0))
    assert whole.evaluate("test") == cut.evaluate("test")


def test_what_leads_nowhere_is_not_computed() -> None:
    case = CASES["a channel leads nowhere"]
    engine: Any = ENGINES["sparse"].make(
        [case.member()], case.make(), images(case.shape), short_training(task=classification(5)), Where()
    )
    masks = case.member().masks
    kept = [int(masks[name].sum()) for name in ("0.weight", "2.weight", "5.weight")]
    entries = engine.network.trunk.convolutions["entries"].tolist()
    assert entries[0] == kept[0] - int(masks["0.weight"][1].sum()) < kept[0]
    assert entries[1:] == kept[1:]


GOLDEN = [2.3023715, 2.3037227, 2.2934699, 2.1641721, 1.2241908]
"""The dropout's draws are part of the numbers too."""


def test_golden_loss_curve() -> None:
    """In float64, so that it holds on every machine. If it moves, the numbers have changed: raise `Trained.version`."""
    training = short_training(batch_size=13, steps=80, evaluate_every=20, lr=0.01, precision="float64")
    history = train_one(member(small(0.2), 0, density=0.3), small(0.2)(), training).history
    assert history.curves["validation/loss"] == pytest.approx(GOLDEN, abs=1e-5)


@pytest.mark.parametrize("rate", [1e5, 1e30])
def test_a_divergence_is_noticed_where_torch_notices_it(rate: float) -> None:
    fields = {"optimizer": "sgd", "lr": rate, "task": classification(minimise="mean_squared_error"), "steps": 60}
    training, one = short_training(batch_size=13, precision="float64", **fields), member(small(), 1, density=0.5)
    by_torch, by_sparse = (train_one(one, small()(), training, engine=engine).history for engine in ("torch", "sparse"))
    assert by_sparse.diverged_at is not None
    assert by_sparse.diverged_at == by_torch.diverged_at


def test_a_start_without_meaning_is_noticed() -> None:
    """A NaN goes through ReLU and pooling."""
    one = member(small(), 1, density=None)
    one.start["convolutions.1.weight"][0, 2, 1, 1] = float("nan")
    assert train_one(one, small()(), short_training(batch_size=13, precision="float64")).history.diverged_at == 0


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: chain((3, 8, 8), "4 p"), (3, 8, 12), r"4.weight takes 64 inputs and is given 96 by images of 3 x 8"),
        (lambda: chain((3, 8, 8), "4 p"), (2, 8, 8), r"0.weight takes 3 channels and is given 2 x 8 x 8"),
        (lambda: chain((3, 8, 8), "4 p"), (8, 8), r"examples of shape \(8, 8\) are no images"),
        (lambda: FrankleConv((8, 8), 5), (64,), r"examples of shape \(64,\) are no images"),
        (lambda: chain((3, 8, 8), "4 p", classes=3), (3, 8, 8), "labels go from 0 to 4"),
    ],
)
def test_examples_that_do_not_fit(make: Make, shape: tuple[int, ...], message: str) -> None:
    """Compiled code checks no bounds."""
    with pytest.raises(ValueError, match=message) as caught:
        train_one(member(make, 1), make(), short_training(task=classification(5)), parts=images(shape))
    assert "\n" not in str(caught.value)
