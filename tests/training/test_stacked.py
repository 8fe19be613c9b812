"""A stacked population equals its members trained alone."""

import pytest
import torch
from trainings import ConvNet, Make, TiedEmbedding, TiedNet, digits_split, dropout_net, lenet, member, recipe, small_net

from lth.training import Member, Outcome, train

CASES = {
    "lenet-adam": (lenet, {"optimizer": "adam", "lr": 1.2e-3}),
    "conv-adamw-clip": (ConvNet, {"optimizer": "adamw", "weight_decay": 0.05, "clip": 0.7, "lr": 3e-3}),
    "tied-sgd": (TiedNet, {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "lr": 0.05}),
    "tied-embedding-adam": (TiedEmbedding, {"optimizer": "adam"}),
}


def assert_close(stacked: Outcome, alone: Outcome) -> None:
    """Weights, buffers and metrics agree within 1e-9."""
    assert stacked.weights.keys() == alone.weights.keys()
    for name, value in alone.weights.items():
        torch.testing.assert_close(stacked.weights[name], value, rtol=0, atol=1e-9, msg=name)
    assert stacked.metrics.keys() == alone.metrics.keys()
    for name, value in alone.metrics.items():
        assert stacked.metrics[name] == (pytest.approx(value, abs=1e-9) if value is not None else None), name


@pytest.mark.parametrize("case", CASES)
def test_four_in_a_stack_equal_four_alone(case: str) -> None:
    make, fields = CASES[case]
    schedule = recipe(duration="50it", evaluate_every=20, precision="float64", **fields)
    members = [member(make, seed, density=density) for seed, density in enumerate((0.9, 0.5, 0.2, None))]
    stacked = train(members, make(), digits_split(), schedule)
    for each, outcome in zip(members, stacked, strict=True):
        assert_close(outcome, train([each], make(), digits_split(), schedule)[0])
    assert len({outcome.metrics["test_loss"] for outcome in stacked}) == 4
    counts = [outcome.weights.get("norm1.num_batches_tracked") for outcome in stacked]
    assert counts == [None] * 4 or all(int(count) == 50 for count in counts if count is not None)


@pytest.mark.parametrize("optimizer", ["nadam", "radam", "adamax", "rmsprop", "adagrad", "adadelta", "rprop"])
def test_other_optimizers_are_elementwise_too(optimizer: str) -> None:
    schedule = recipe(optimizer=optimizer, precision="float64")
    members = [member(small_net, seed) for seed in (1, 2)]
    stacked = train(members, small_net(), digits_split(), schedule)
    for each, outcome in zip(members, stacked, strict=True):
        assert_close(outcome, train([each], small_net(), digits_split(), schedule)[0])


@pytest.mark.parametrize("make", [small_net, ConvNet], ids=["small", "conv"])
@pytest.mark.parametrize("size", [1, 2])
def test_training_does_not_touch_what_it_starts_from(make: Make, size: int) -> None:
    members = [member(make, seed) for seed in range(size)]
    before = [{name: value.clone() for name, value in each.start.items()} for each in members]
    masks = [{name: value.clone() for name, value in each.masks.items()} for each in members]
    outcomes = train(members, make(), digits_split(), recipe(precision="float32"))
    for index, each in enumerate(members):
        assert all(torch.equal(value, before[index][name]) for name, value in each.start.items())
        assert all(torch.equal(value, masks[index][name]) for name, value in each.masks.items())
        name = "output.bias" if make is ConvNet else "3.bias"
        assert not torch.equal(outcomes[index].weights[name], before[index][name])


def test_members_of_a_stack_drop_units_of_their_own() -> None:
    one = member(dropout_net, 1)
    other = Member("other", one.start, one.masks, one.seeds.model_copy(update={"augmentation": 2}))
    left, right = train([one, other], dropout_net(), digits_split(), recipe())
    assert not torch.equal(left.weights["4.weight"], right.weights["4.weight"])
