"""A stacked population equals its members trained alone."""

import pytest
import torch
from torch import nn
from trainings import (
    ConvNet,
    Make,
    TiedEmbedding,
    TiedNet,
    assert_close,
    diabetes_net,
    dropout_net,
    language_model,
    lenet,
    member,
    run,
    short_training,
    small_net,
    token_net,
    tokens,
    with_seeds,
)

from lth.config import TaskSpec
from lth.data import Parts, load_data, split
from lth.models.gpt2 import Gpt2

CASES = {
    "lenet-adam": (lenet, {"optimizer": "adam", "lr": 1.2e-3}),
    "conv-adamw-clip": (ConvNet, {"optimizer": "adamw", "weight_decay": 0.05, "clip": 0.7, "lr": 3e-3}),
    "tied-sgd": (TiedNet, {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "lr": 0.05}),
    "tied-embedding-adam": (TiedEmbedding, {"optimizer": "adam"}),
}


@pytest.mark.parametrize("case", CASES)
def test_four_in_a_stack_equal_four_alone(case: str) -> None:
    make, fields = CASES[case]
    training = short_training(steps=50, evaluate_every=20, precision="float64", **fields)
    members = [member(make, seed, density=density) for seed, density in enumerate((0.9, 0.5, 0.2, None))]
    stacked = run(members, make(), training)
    for each, outcome in zip(members, stacked, strict=True):
        assert_close(outcome, run([each], make(), training)[0])
    assert len({outcome.history.end["test/loss"] for outcome in stacked}) == 4
    counts = [outcome.weights.get("norm1.num_batches_tracked") for outcome in stacked]
    assert counts == [None] * 4 or all(int(count) == 50 for count in counts if count is not None)


def gpt() -> nn.Module:
    """A causal transformer of one block, its output layer tied to the embedding."""
    return Gpt2(vocabulary=11, block=7, n_embd=8, n_layer=1, n_head=2, pad_to=1)


TASKS: dict[str, tuple[Make, TaskSpec, Parts]] = {
    "regression": (diabetes_net, TaskSpec(name="regression"), split(load_data("diabetes"), 40)),
    "language-model": (token_net, language_model(), tokens()),
    "transformer": (gpt, language_model(), tokens()),
}


@pytest.mark.parametrize("case", TASKS)
def test_other_tasks_are_stacked_too(case: str) -> None:
    """All in one call under `vmap`."""
    make, task, parts = TASKS[case]
    training = short_training(task=task, steps=40, evaluate_every=10, precision="float64")
    members = [member(make, seed, density=density) for seed, density in enumerate((0.9, 0.4, None))]
    stacked = run(members, make(), training, parts=parts)
    assert {outcome.signature for outcome in stacked} == {"torch/cpu/3-vmap"}
    for each, outcome in zip(members, stacked, strict=True):
        assert_close(outcome, run([each], make(), training, parts=parts)[0])
        curve = outcome.history.curves["validation/loss"]
        assert curve[-1] < curve[0]
    assert len({outcome.history.end["test/loss"] for outcome in stacked}) == 3


@pytest.mark.parametrize("optimizer", ["nadam", "radam", "adamax", "rmsprop", "adagrad", "adadelta", "rprop"])
def test_other_optimizers_are_elementwise_too(optimizer: str) -> None:
    training = short_training(optimizer=optimizer, precision="float64")
    members = [member(small_net, seed) for seed in (1, 2)]
    stacked = run(members, small_net(), training)
    for each, outcome in zip(members, stacked, strict=True):
        assert_close(outcome, run([each], small_net(), training)[0])


@pytest.mark.parametrize("make", [small_net, ConvNet], ids=["small", "conv"])
@pytest.mark.parametrize("size", [1, 2])
def test_training_does_not_touch_what_it_starts_from(make: Make, size: int) -> None:
    members = [member(make, seed) for seed in range(size)]
    before = [{name: value.clone() for name, value in each.start.items()} for each in members]
    masks = [{name: value.clone() for name, value in each.masks.items()} for each in members]
    outcomes = run(members, make(), short_training(precision="float32"))
    for index, each in enumerate(members):
        assert all(torch.equal(value, before[index][name]) for name, value in each.start.items())
        assert all(torch.equal(value, masks[index][name]) for name, value in each.masks.items())
        name = "output.bias" if make is ConvNet else "3.bias"
        assert not torch.equal(outcomes[index].weights[name], before[index][name])


def test_members_of_a_stack_drop_units_of_their_own() -> None:
    one = member(dropout_net, 1)
    other = with_seeds(one, augmentation=2)
    left, right = run([one, other], dropout_net(), short_training())
    assert not torch.equal(left.weights["4.weight"], right.weights["4.weight"])
