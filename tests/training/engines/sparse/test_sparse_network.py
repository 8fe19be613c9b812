"""What the sparse engine keeps: memory that falls with the density, and numbers that stay what they are."""

from typing import Any

import numpy as np
import pytest
import torch
from sparse_trainings import train_one
from torch import nn
from trainings import (
    Make,
    classification,
    digits,
    dropout_net,
    lenet,
    masks_of,
    member,
    short_training,
    small_net,
    start_of,
    with_part,
    x_and_y,
)

from lth.models import LeNet300100
from lth.sparsity import Masks
from lth.training import Member
from lth.training.engines.sparse import read_chain
from lth.training.engines.sparse.examples import examples_of
from lth.training.engines.sparse.network import SparseNetwork
from lth.training.engines.sparse.update_rule import update_rule_of

CASES: dict[str, tuple[Make, float | None]] = {
    "dense": (lenet, None),
    "sparse": (lenet, 0.2),
    "dropout": (dropout_net, 0.6),
}

GOLDEN: dict[str, list[float]] = {
    "dense": [2.3322861, 1.8342729, 1.2874568, 0.7706719, 0.5116800],
    "sparse": [2.3042936, 2.2858109, 2.2658199, 2.2390782, 2.2024038],
    "dropout": [2.3518407, 2.3365976, 2.3228258, 2.3071494, 2.2908393],
}
"""The dropout's draws are part of the numbers too."""


@pytest.mark.parametrize("name", CASES)
def test_golden_loss_curve(name: str) -> None:
    """In float64, so that it holds on every machine. If it moves, the numbers have changed: raise `Trained.version`."""
    make, density = CASES[name]
    training = short_training(batch_size=41, steps=40, evaluate_every=10, lr=1.2e-3, precision="float64", clip=2.0)
    history = train_one(member(make, 0, density=density), make(), training).history
    assert history.steps == [0, 10, 20, 30, 40]
    assert history.curves["validation/loss"] == pytest.approx(GOLDEN[name], abs=1e-5)
    assert history.best.step == 40


def network_of(masks: Masks, **fields: Any) -> SparseNetwork:
    start = start_of(lenet, 0)
    start = {name: torch.where(masks[name], value, 0.0) if name in masks else value for name, value in start.items()}
    parts, training = examples_of(digits(), np.float32), short_training(**fields)
    return SparseNetwork(
        read_chain(lenet()).layers, start, masks, update_rule_of(training), training.batch_size, parts["train"]
    )


@pytest.mark.parametrize(
    "fields", [{"optimizer": "adam"}, {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}}]
)
def test_memory_falls_with_the_density(fields: dict[str, Any]) -> None:
    """Down to half, each halving of the density halves it, but for biases and starts of rows."""
    dense = network_of({}, **fields).num_bytes
    sizes = {density: network_of(masks_of(lenet, 0, density), **fields).num_bytes for density in (0.4, 0.2, 0.1, 0.05)}
    weights = sum(value.numel() for value in start_of(lenet, 0).values())
    entries = {"adam": 4, "sgd": 3}[fields["optimizer"]]  # value, gradient, moments
    assert dense == pytest.approx(4 * entries * weights, rel=0.25)  # blocks of 64 units are padded
    for density, half in ((0.4, 0.2), (0.2, 0.1), (0.1, 0.05)):
        assert sizes[half] / sizes[density] == pytest.approx(0.5, abs=0.12)
    assert sizes[0.05] < 0.2 * dense


def test_a_network_gives_back_what_it_was_given() -> None:
    masks = masks_of(lenet, 0, 0.2)
    network = network_of(masks)
    start = start_of(lenet, 0)
    for name, value in network.weights().items():
        wanted = torch.where(masks[name], start[name], 0.0) if name in masks else start[name]
        assert torch.equal(value, wanted)
    network.values.weights[:] = -1
    found = network.weights()
    for name, mask in masks.items():  # what leads nowhere is kept as well
        assert torch.equal(found[name] == -1, mask)


@pytest.mark.parametrize("rate", [1e5, 1e30])
def test_a_divergence_is_noticed_where_torch_notices_it(rate: float) -> None:
    """Squares grow beyond all numbers; the step is named, and nothing is read from the test set."""
    training = short_training(
        batch_size=13,
        optimizer="sgd",
        lr=rate,
        precision="float64",
        task=classification(minimise="mean_squared_error"),
        steps=60,
    )
    one = member(small_net, 1)
    by_torch, by_sparse = (
        train_one(one, small_net(), training, engine=engine).history for engine in ("torch", "sparse")
    )
    assert by_sparse.diverged_at is not None
    assert by_sparse.diverged_at == by_torch.diverged_at
    assert by_sparse.steps == by_torch.steps
    assert by_sparse.end == {}


def test_accuracies_of_each_class_equal_torchs() -> None:
    """Of the classes that the part holds, for a network with more outputs than classes too."""
    x, y = x_and_y(digits()["test"])
    parts = with_part(digits(), "test", x[y != 3], y[y != 3])
    training = short_training(task=classification(10), batch_size=13, precision="float64", steps=60)

    def make() -> nn.Module:
        return LeNet300100((8, 8), 12)

    by_torch, by_sparse = (
        train_one(member(make, 1), make(), training, parts=parts, engine=engine).history
        for engine in ("torch", "sparse")
    )
    assert by_sparse.end.keys() == by_torch.end.keys()
    assert "test/accuracy of class 4" in by_sparse.end
    assert "test/accuracy of class 3" not in by_sparse.end
    for found, wanted in ((by_sparse.end, by_torch.end), (by_sparse.at_best, by_torch.at_best)):
        assert found == pytest.approx(wanted, abs=1e-12)
    assert len({value for name, value in by_sparse.end.items() if "class" in name}) > 4


def test_a_start_without_meaning_is_noticed() -> None:
    one = member(small_net, 1)
    one.start["1.weight"][0, 20] = float("nan")
    training = short_training(batch_size=13, precision="float64")
    assert train_one(one, small_net(), training).history.diverged_at == 0


def test_the_members_tensors_are_not_written_to() -> None:
    one = member(small_net, 1, fill=0.1)
    before = {name: value.clone() for name, value in one.start.items()}
    training = short_training(batch_size=13, precision="float64", weight_decay=0.1)
    outcome = train_one(one, small_net(), training)
    assert all(torch.equal(value, before[name]) for name, value in one.start.items())
    again = Member(one.key, one.start, one.masks, one.seeds)
    repeated = train_one(again, small_net(), training)
    assert all(torch.equal(value, repeated.weights[name]) for name, value in outcome.weights.items())
