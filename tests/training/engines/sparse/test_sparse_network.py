"""What the sparse engine keeps: memory that falls with the density, and numbers that stay what they are."""

from typing import Any

import numpy as np
import pytest
import torch
from sparse_trainings import train_one
from trainings import Make, digits_split, dropout_net, lenet, masks_of, member, recipe, small_net, start_of

from lth.sparsity import Masks
from lth.training import Member
from lth.training.engines.sparse import read_mlp
from lth.training.engines.sparse.examples import examples_of
from lth.training.engines.sparse.network import Network
from lth.training.engines.sparse.rule import rule_of

CASES: dict[str, tuple[Make, float | None]] = {
    "dense": (lenet, None),
    "sparse": (lenet, 0.2),
    "dropout": (dropout_net, 0.6),
}

GOLDEN: dict[str, list[float]] = {
    "dense": [2.2967820, 1.7979056, 1.3092386, 0.8448217, 0.5625780],
    "sparse": [2.3037945, 2.2871562, 2.2692146, 2.2481020, 2.2187039],
    "dropout": [2.3091843, 2.2992760, 2.2922900, 2.2875158, 2.2823621],
}
"""The dropout's draws are part of the numbers too."""


@pytest.mark.parametrize("name", CASES)
def test_golden_loss_curve(name: str) -> None:
    """In float64, so that it holds on every machine. If it moves, the numbers have changed: raise `Trained.version`."""
    make, density = CASES[name]
    schedule = recipe(batch_size=41, duration="40it", evaluate_every=10, lr=1.2e-3, precision="float64", clip=2.0)
    metrics = train_one(member(make, 0, density=density), make(), digits_split(), schedule).metrics
    assert metrics["iterations"] == [0, 10, 20, 30, 40]
    assert metrics["validation_loss"] == pytest.approx(GOLDEN[name], abs=1e-5)
    assert metrics["early_stop_iteration"] == 40


def network_of(masks: Masks, **fields: Any) -> Network:
    split, start = digits_split(), start_of(lenet, 0)
    start = {name: torch.where(masks[name], value, 0.0) if name in masks else value for name, value in start.items()}
    parts, schedule = examples_of(split, np.float32), recipe(**fields)
    return Network(read_mlp(lenet()), start, masks, rule_of(schedule), schedule.batch_size, parts["train"])


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
    schedule = recipe(
        batch_size=13, optimizer="sgd", lr=rate, precision="float64", loss="mean_squared_error", duration="60it"
    )
    one = member(small_net, 1)
    by_torch, by_sparse = (
        train_one(one, small_net(), digits_split(), schedule, engine=engine).metrics for engine in ("torch", "sparse")
    )
    assert by_sparse["diverged_at"] is not None
    assert by_sparse["diverged_at"] == by_torch["diverged_at"]
    assert by_sparse["iterations"] == by_torch["iterations"]
    assert by_sparse["test_loss"] is None


def test_a_start_without_meaning_is_noticed() -> None:
    one = member(small_net, 1)
    one.start["1.weight"][0, 20] = float("nan")
    schedule = recipe(batch_size=13, precision="float64")
    assert train_one(one, small_net(), digits_split(), schedule).metrics["diverged_at"] == 0


def test_the_members_tensors_are_not_written_to() -> None:
    one = member(small_net, 1, fill=0.1)
    before = {name: value.clone() for name, value in one.start.items()}
    schedule = recipe(batch_size=13, precision="float64", weight_decay=0.1)
    outcome = train_one(one, small_net(), digits_split(), schedule)
    assert all(torch.equal(value, before[name]) for name, value in one.start.items())
    again = Member(one.key, one.start, one.masks, one.seeds)
    repeated = train_one(again, small_net(), digits_split(), schedule)
    assert all(torch.equal(value, repeated.weights[name]) for name, value in outcome.weights.items())
