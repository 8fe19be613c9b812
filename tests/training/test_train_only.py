"""A training of some parameters alone: the others keep their bits; what cannot do it says so in a line."""

import pytest
import torch
from trainings import dense_member, member, run, short_training, small_net

from lth.config import Function, SettingsError
from lth.models import LeNet300100, head_of
from lth.training import choose_engine

CPU = torch.device("cpu")
LAST = ("3.weight", "3.bias")


@pytest.mark.parametrize("count", [1, 2])
def test_only_what_matches_a_pattern_trains(count: int) -> None:
    """Alone and in a stack, under masks too."""
    members = [dense_member(small_net, 0), member(small_net, 1)][:count]
    outcomes = run(members, small_net(), short_training(train_only=("3.*",)))
    for one, outcome in zip(members, outcomes, strict=True):
        moved = {name for name, value in outcome.weights.items() if not torch.equal(value, one.start[name])}
        assert moved == set(LAST)
        for name, mask in one.masks.items():
            assert torch.equal(outcome.weights[name][~mask], one.start[name][~mask])


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"pattern 'head\.\*' matches no parameter"):
        run([dense_member(small_net, 0)], small_net(), short_training(train_only=("head.*",)))


def test_who_cannot_says_so() -> None:
    training = short_training(train_only=LAST)
    assert choose_engine("auto", small_net(), training, device=CPU).name == "torch"
    with pytest.raises(SettingsError, match=r"the sparse engine cannot train this: only 3\.weight, \.\.\. is trained"):
        choose_engine("sparse", small_net(), training, device=CPU)
    own = training.with_(function=Function(name="mine:train"))
    with pytest.raises(SettingsError, match=r"your function 'mine:train' decides itself what trains"):
        choose_engine("auto", small_net(), own, device=CPU)


def test_the_head_is_the_last_layer() -> None:
    assert head_of("mine:net", small_net()) == LAST
    lenet = LeNet300100((8, 8), 10)
    assert head_of("lenet-300-100", lenet) == ("output.weight", "output.bias")
    tied = small_net()
    tied.append(torch.nn.Linear(12, 10))
    tied[4].weight = tied[3].weight
    assert head_of("mine:net", tied) == ("4.bias",)
    assert head_of("mine:net", torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))) == ()
