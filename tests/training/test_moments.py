"""Optimizer moments: carried between trainings, and at a mask change zero, kept or restored."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import (
    FolderJournal,
    assert_same_bits,
    dense_member,
    member,
    run,
    short_training,
    small_net,
)

from lth.config.sparsifier import Sparsifier
from lth.training import OPTIMIZERS, History, Member, Moments, Outcome
from lth.training.moments import change_moments

OPTIONS: dict[str, dict[str, object]] = {"sgd": {"momentum": 0.9}, "rmsprop": {"momentum": 0.9}}


def moments_in(outcome: Outcome) -> Moments:
    """Those that were asked for."""
    assert outcome.moments is not None
    return outcome.moments


def with_moments(one: Member, outcome: Outcome) -> Member:
    """The member that goes on where an outcome stopped."""
    return Member(one.key, outcome.weights, one.masks, one.seeds, moments_in(outcome))


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_halves_equal_the_whole(name: str, size: int) -> None:
    """Weights and moments are all that a training without dropout carries over: it goes on with the same bits."""
    training = short_training(optimizer=name, optimizer_options=OPTIONS.get(name, {}), clip=0.5)
    members = [member(small_net, seed) for seed in range(size)]
    whole = run(members, small_net(), training.with_(traces=["moments"]))
    halves = run(members, small_net(), training.with_(traces=["moments"]), until=7)
    rest = [with_moments(one, half) for one, half in zip(members, halves, strict=True)]
    ends = run(rest, small_net(), training.with_(first_step=7, traces=["moments"]))
    for one, other in zip(whole, ends, strict=True):
        assert_same_bits(one.weights, other.weights)
        for entry, values in moments_in(one).items():  # equal but for the sign of zeros, which masks give gradients
            assert all(torch.equal(value, moments_in(other)[entry][weight]) for weight, value in values.items())
    fresh = [Member(one.key, one.start, one.masks, one.seeds) for one in rest]
    again = run(fresh, small_net(), training.with_(first_step=7))
    assert not torch.equal(again[0].weights["1.weight"], whole[0].weights["1.weight"])


def test_moments_of_pruned_entries_start_over() -> None:
    """Whatever lies in them: Adam would move the weight at once."""
    whole = dense_member(small_net, 1)
    before = run([whole], small_net(), short_training(traces=["moments"]))[0]
    pruned = member(small_net, 1, fill=0.25)
    assert all(moments_in(before)["exp_avg"][name][~mask].any() for name, mask in pruned.masks.items())
    start = {name: value.clone() for name, value in moments_in(before)["exp_avg"].items()}
    one = with_moments(pruned, Outcome(pruned.start, History(), 0, "torch", moments=before.moments))
    after = run([one], small_net(), short_training(traces=["moments"]))[0]
    for name, mask in pruned.masks.items():
        assert torch.equal(after.weights[name][~mask], pruned.start[name][~mask])
        assert not moments_in(after)["exp_avg"][name][~mask].any()
        assert not torch.equal(after.weights[name][mask], pruned.start[name][mask])
    assert_same_bits(moments_in(before)["exp_avg"], start)  # the caller's tensors are not written to


POLICIES: dict[str, tuple[list[float], list[float] | None]] = {
    "zero": ([0.5, 2.0, 0.5, 4.0], None),
    "keep": ([1.0, 2.0, 3.0, 4.0], None),
    "restore": ([0.5, 2.0, 9.0, 4.0], [1.0, 8.0, 9.0, 8.0]),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_by_hand(policy: str) -> None:
    """The first weight is pruned and the third revived; this entry starts over from 0.5."""
    wanted, stashed = POLICIES[policy]
    entries = {"sum": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    stash = {"sum": torch.tensor([8.0, 8.0, 9.0, 8.0])} if policy == "restore" else {}
    pruned, revived = torch.tensor([True, False, False, False]), torch.tensor([False, False, True, False])
    change_moments(policy, entries, {"sum": 0.5}, pruned, revived, stash)
    assert entries["sum"].tolist() == wanted
    assert (stash["sum"].tolist() if stash else None) == stashed


def settings(moments: Any) -> Sparsifier:
    """SET that exchanges much, twice."""
    return Sparsifier(
        method="set", density=0.5, begin=0.3, end=0.9, applications=2, update_fraction=0.9, moments=moments
    )


@pytest.mark.parametrize("moments", ["zero", "keep", "restore"])
def test_policies_within_training(moments: str) -> None:
    """Exchanges after 7 and 14 of 24 steps. Up to the first, all policies are one training."""
    training, one = short_training(steps=24, evaluate_every=8), dense_member(small_net, 1)

    def at(step: int, policy: str) -> Outcome:
        return run([one], small_net(), training.with_(traces=["moments"], sparsifier=settings(policy)), until=step)[0]

    before, first, second = at(7, "keep"), at(7, moments), at(14, moments)
    drawn = at(6, moments)
    assert drawn.masks is not None
    assert first.masks is not None
    assert second.masks is not None
    for entry in ("exp_avg", "exp_avg_sq"):
        name = "1.weight"
        pruned = drawn.masks[name] & ~first.masks[name]
        revived = pruned & second.masks[name]
        was, after, end = (moments_in(each)[entry][name] for each in (before, first, second))
        assert was[pruned].any()
        assert int(revived.sum()) > 10
        if moments == "zero":
            assert not after[pruned].any()
            assert not end[revived].any()
        elif moments == "keep":
            assert torch.equal(after, was)
            decayed = was * (0.9 if entry == "exp_avg" else 0.999) ** 7
            torch.testing.assert_close(end[revived], decayed[revived], rtol=1e-4, atol=1e-9)
        else:
            assert not after[pruned].any()
            assert torch.equal(end[revived], was[revived])


def test_rprop_starts_over_from_its_learning_rate() -> None:
    """A step size of zero would pin a revived weight."""
    training = short_training(optimizer="rprop", lr=0.02, steps=24)
    outcome = run(
        [dense_member(small_net, 1)],
        small_net(),
        training.with_(traces=["moments"], sparsifier=settings("zero")),
        until=14,
    )[0]
    assert outcome.masks is not None
    pruned = ~outcome.masks["1.weight"]
    sizes = moments_in(outcome)["step_size"]["1.weight"]
    assert torch.equal(sizes[pruned], torch.full_like(sizes[pruned], 0.02))


def test_moments_survive_a_stop(tmp_path: Path) -> None:
    """A snapshot's moments count, not those that the member came with."""
    one = member(small_net, 1)
    half = run([one], small_net(), short_training(traces=["moments"]), until=5)[0]
    rest, journal = with_moments(one, half), FolderJournal(tmp_path)
    whole = run([rest], small_net(), short_training(first_step=5))[0]
    run([rest], small_net(), short_training(first_step=5), until=8, journal=journal, snapshot_seconds=0.0)
    resumed = run([rest], small_net(), short_training(first_step=5), journal=journal)[0]
    assert resumed.num_steps == 4
    assert_same_bits(resumed.weights, whole.weights)


def test_moments_that_do_not_fit_are_errors() -> None:
    one = member(small_net, 1)
    good = moments_in(run([one], small_net(), short_training(traces=["moments"]))[0])
    plain = {"optimizer": "sgd"}
    momentum = {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}}
    misnamed = {entry: values | {"9.weight": values["1.weight"]} for entry, values in good.items()}
    misshapen = good | {"exp_avg": good["exp_avg"] | {"1.weight": torch.zeros(3)}}
    partial = good | {"exp_avg": {"1.weight": good["exp_avg"]["1.weight"]}}
    cases: list[tuple[dict[str, Any], Moments, str]] = [
        (plain, good, r"the moments hold exp_avg, exp_avg_sq, step; SGD with its options has none"),
        (momentum, good, r"SGD with its options has momentum_buffer\. Start from a training with the same optimizer"),
        ({}, {"exp_avg": good["exp_avg"]}, "the moments hold exp_avg; Adam with its options has exp_avg, exp_avg_sq"),
        ({}, misnamed, r"do not fit the model: 'step' of 9\.weight|do not fit the model: 'exp_avg' of 9\.weight"),
        ({}, misshapen, r"'exp_avg' of 1\.weight differs in name or shape"),
        ({}, partial, "or is missing in part"),
    ]
    for fields, moments, message in cases:
        each = Member(one.key, one.start, one.masks, one.seeds, moments)
        with pytest.raises(ValueError, match=message):
            run([each], small_net(), short_training(**fields))
    with_them = Member(one.key, one.start, one.masks, one.seeds, good)
    with pytest.raises(ValueError, match="1 of 2 members bring optimizer moments"):
        run([with_them, member(small_net, 2)], small_net(), short_training())
    later = good | {"step": {name: value + 1 for name, value in good["step"].items()}}
    other = Member("other", one.start, one.masks, one.seeds, later)
    with pytest.raises(ValueError, match=r"differ in the counter 'step'.*Train these members one by one"):
        run([with_them, other], small_net(), short_training())
