"""The optimizer's moments go from engine to engine: the sparse one keeps what PyTorch's optimizers keep."""

from typing import Any

import pytest
import torch
from sparse_trainings import largest_difference, train_one
from trainings import assert_same_bits, member, same_bits, short_training, small_net

from lth.config import Training
from lth.sparsity import Weights
from lth.training import Member, Outcome

FIELDS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam", "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.01},
    "sgd": {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9, "nesterov": True}, "lr": 0.05},
    "dampened": {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9, "dampening": 0.4}, "lr": 0.05},
}


def training_of(name: str, first_step: int) -> Training:
    return short_training(
        batch_size=13,
        steps=60,
        precision="float64",
        clip=2.0,
        **FIELDS[name],
        traces=["moments"],
        first_step=first_step,
    )


def moments_in(outcome: Outcome) -> dict[str, Weights]:
    assert outcome.moments is not None
    return outcome.moments


def run(one: Member, name: str, engine: str, first_step: int = 0, **more: Any) -> Outcome:
    return train_one(one, small_net(), training_of(name, first_step), **more, engine=engine)


def assert_close(left: dict[str, Weights], right: dict[str, Weights]) -> None:
    assert left.keys() == right.keys()
    for entry, values in left.items():
        assert values.keys() == right[entry].keys()
        for name, value in values.items():
            other = right[entry][name]
            assert (value.dtype, value.shape) == (other.dtype, other.shape)
            if entry == "step":
                assert same_bits(value, other)
        assert largest_difference(values, right[entry]) < 1e-10


@pytest.mark.parametrize("density", [None, 0.1])
@pytest.mark.parametrize("name", FIELDS)
def test_moments_equal_torchs(name: str, density: float | None) -> None:
    one = member(small_net, 1, density=density)
    assert_close(moments_in(run(one, name, "sparse")), moments_in(run(one, name, "torch")))


@pytest.mark.parametrize("name", FIELDS)
def test_moments_of_what_rests_at_a_value_equal_torchs(name: str) -> None:
    one = member(small_net, 1, density=0.3, fill=0.2)
    assert_close(moments_in(run(one, name, "sparse")), moments_in(run(one, name, "torch")))


@pytest.mark.parametrize("density", [None, 0.1])
@pytest.mark.parametrize("name", FIELDS)
def test_going_on_from_moments_equals_torch(name: str, density: float | None) -> None:
    """Taken by either engine from either, after 25 steps: all ends agree, and so do the moments there."""
    one = member(small_net, 1, density=density)
    whole = run(one, name, "torch")
    for before in ("torch", "sparse"):
        half = run(one, name, before, until=25)
        rest = Member(one.key, half.weights, one.masks, one.seeds, moments_in(half))
        for after in ("torch", "sparse"):
            end = run(rest, name, after, first_step=25)
            assert largest_difference(end.weights, whole.weights) < 1e-10
            assert_close(moments_in(end), moments_in(whole))
    fresh = run(Member(one.key, half.weights, one.masks, one.seeds), name, "sparse", first_step=25)
    assert largest_difference(fresh.weights, whole.weights) > 1e-4


def test_two_halves_equal_the_whole_bit_for_bit() -> None:
    one = member(small_net, 1)
    for name in FIELDS:
        whole, half = run(one, name, "sparse"), run(one, name, "sparse", until=25)
        rest = Member(one.key, half.weights, one.masks, one.seeds, moments_in(half))
        assert_same_bits(run(rest, name, "sparse", first_step=25).weights, whole.weights)


def test_moments_of_pruned_entries_start_over() -> None:
    """Whatever lies in them: Adam would move the weight at once. The caller's tensors stay as they are."""
    whole, pruned = member(small_net, 1, density=None), member(small_net, 1, fill=0.25)
    moments = moments_in(run(whole, "adamw", "sparse"))
    kept = {entry: {name: value.clone() for name, value in values.items()} for entry, values in moments.items()}
    ends = {}
    for engine in ("torch", "sparse"):
        rest = Member(pruned.key, pruned.start, pruned.masks, pruned.seeds, moments)
        ends[engine] = run(rest, "adamw", engine, until=1)
        for name, mask in pruned.masks.items():
            assert torch.equal(ends[engine].weights[name][~mask], pruned.start[name].double()[~mask])
            assert not moments_in(ends[engine])["exp_avg"][name][~mask].any()
    assert_close(moments_in(ends["sparse"]), moments_in(ends["torch"]))
    for entry, values in kept.items():
        assert_same_bits(values, moments[entry])


def test_moments_that_do_not_fit_are_errors() -> None:
    one = member(small_net, 1)
    good = moments_in(run(one, "adam", "sparse", until=1))
    with pytest.raises(ValueError, match=r"the moments hold exp_avg, exp_avg_sq, step; SGD with its options has mom"):
        run(Member(one.key, one.start, one.masks, one.seeds, good), "sgd", "sparse")
    misshapen = good | {"exp_avg": good["exp_avg"] | {"1.weight": torch.zeros(3)}}
    with pytest.raises(ValueError, match=r"'exp_avg' of 1\.weight differs in name or shape"):
        run(Member(one.key, one.start, one.masks, one.seeds, misshapen), "adam", "sparse")
