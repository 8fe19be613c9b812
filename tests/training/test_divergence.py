"""A member whose loss is not finite is stopped, its step named; the others go on as if it were not there."""

import pytest
import torch
from trainings import ConvNet, Make, digits_split, member, recipe, small_net

from lth.training import Member, train


def poisoned(make: Make, seed: int) -> Member:
    """A member one of whose weights is NaN."""
    each = member(make, seed)
    next(iter(each.start.values())).view(-1)[-1] = float("nan")
    return each


@pytest.mark.parametrize("make", [small_net, ConvNet], ids=["small", "conv"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_others_do_not_feel_a_poisoned_member(make: Make, position: int) -> None:
    healthy = [member(make, seed) for seed in (1, 2)]
    members = [*healthy[:position], poisoned(make, 3), *healthy[position:]]
    schedule = recipe(clip=0.5, precision="float64")
    outcomes = train(members, make(), digits_split(), schedule)
    assert outcomes.pop(position).metrics["diverged_at"] == 0
    for outcome, alone in zip(outcomes, train(healthy, make(), digits_split(), schedule), strict=True):
        assert outcome.metrics["diverged_at"] is None
        assert outcome.metrics["validation_loss"] == pytest.approx(alone.metrics["validation_loss"], abs=1e-9)
        assert outcome.metrics["test_accuracy"] == alone.metrics["test_accuracy"]
        for name, value in alone.weights.items():
            torch.testing.assert_close(outcome.weights[name], value, rtol=0, atol=1e-9)


def test_the_step_whose_loss_is_not_finite_is_named() -> None:
    """SGD at 1e30: the first update (of a finite loss) throws the weights far away, the second loss is not finite."""
    schedule = recipe(optimizer="sgd", lr=1e30, duration="30it", evaluate_every=10)
    metrics = train([member(small_net, 1)], small_net(), digits_split(), schedule)[0].metrics
    assert metrics["diverged_at"] == 2
    assert (metrics["iterations"], len(metrics["validation_loss"])) == ([0], 1)
    assert (metrics["test_loss"], metrics["test_accuracy"], metrics["early_stop_test_accuracy"]) == (None, None, None)


def test_divergence_at_the_last_step_is_seen() -> None:
    """Every training loss is finite, but not the validation loss after the one update."""
    schedule = recipe(optimizer="sgd", lr=1e38, duration="1it")
    assert train([member(small_net, 1)], small_net(), digits_split(), schedule)[0].metrics["diverged_at"] == 1


def test_a_stack_of_diverged_members_ends_early() -> None:
    schedule = recipe(duration="100000000it")
    outcomes = train([poisoned(small_net, 1), poisoned(small_net, 2)], small_net(), digits_split(), schedule)
    assert [outcome.metrics["diverged_at"] for outcome in outcomes] == [0, 0]
