"""A member whose loss is not finite is stopped, its step named; the others go on as if it were not there."""

import pytest
import torch
from trainings import ConvNet, Make, member, run, short_training, small_net

from lth.training import Member


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
    training = short_training(clip=0.5, precision="float64")
    outcomes = run(members, make(), training)
    assert outcomes.pop(position).history.diverged_at == 0
    for outcome, alone in zip(outcomes, run(healthy, make(), training), strict=True):
        assert outcome.history.diverged_at is None
        assert outcome.history.curves["validation/loss"] == pytest.approx(
            alone.history.curves["validation/loss"], abs=1e-9
        )
        assert outcome.history.end["test/accuracy"] == alone.history.end["test/accuracy"]
        for name, value in alone.weights.items():
            torch.testing.assert_close(outcome.weights[name], value, rtol=0, atol=1e-9)


def test_the_step_whose_loss_is_not_finite_is_named() -> None:
    """SGD at 1e30: the first update (of a finite loss) throws the weights far away, the second loss is not finite."""
    training = short_training(optimizer="sgd", lr=1e30, steps=30, evaluate_every=10)
    history = run([member(small_net, 1)], small_net(), training)[0].history
    assert history.diverged_at == 2
    assert (history.steps, len(history.curves["validation/loss"])) == ([0], 1)
    assert (history.end, history.at_best) == ({}, {})


def test_divergence_at_the_last_step_is_seen() -> None:
    """Every training loss is finite, but not the validation loss after the one update."""
    training = short_training(optimizer="sgd", lr=1e38, steps=1)
    assert run([member(small_net, 1)], small_net(), training)[0].history.diverged_at == 1


def test_a_stack_of_diverged_members_ends_early() -> None:
    training = short_training(steps=100000000)
    outcomes = run([poisoned(small_net, 1), poisoned(small_net, 2)], small_net(), training)
    assert [outcome.history.diverged_at for outcome in outcomes] == [0, 0]
