"""Optimizers by name."""

import re
from typing import Any

import pytest
import torch
from torch import nn

from lth.training import OPTIMIZERS, check_optimizer, derive_seed, make_optimizer, seeds_of


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_is_made_and_lowers_a_loss(name: str) -> None:
    weight = nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = make_optimizer(name, [weight], 0.01, 0.0, {})
    for _ in range(20):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert float(weight.detach().square().sum()) < 13.0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_reaches_it(name: str) -> None:
    weight = nn.Parameter(torch.tensor([3.0]))
    if name == "rprop":
        with pytest.raises(ValueError, match="'rprop' has no weight decay"):
            make_optimizer(name, [weight], 0.1, 0.01, {})
        return
    optimizer = make_optimizer(name, [weight], 0.1, 0.01, {})
    weight.grad = torch.zeros(1)
    optimizer.step()
    assert float(weight.detach()) < 3.0


def test_options_reach_it() -> None:
    optimizer = make_optimizer("sgd", [nn.Parameter(torch.ones(1))], 0.1, 0.0, {"momentum": 0.8, "nesterov": True})
    assert (optimizer.defaults["momentum"], optimizer.defaults["nesterov"]) == (0.8, True)


def test_unknown_names_are_errors_that_say_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"unknown optimizer 'adm'\. Did you mean 'adam'\? Choices: sgd, adam"):
        make_optimizer("adm", [nn.Parameter(torch.ones(1))], 0.1, 0.0, {})
    for option in ("momentm", "lr", "weight_decay", "params"):
        with pytest.raises(ValueError, match=f"optimizer 'sgd' has no option '{option}'. Choices: momentum, "):
            make_optimizer("sgd", [nn.Parameter(torch.ones(1))], 0.1, 0.0, {option: 1})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_checking_takes_what_making_takes(name: str) -> None:
    cases: list[tuple[float, float, dict[str, Any]]] = [
        (0.1, 0.0, {}), (0.1, 0.01, {}), (-0.1, 0.0, {}), (0.1, -1.0, {}), (0.1, 0.0, {"foreach": True}),
        (0.1, 0.0, {"betas": (0.9, 1.5)}), (0.1, 0.0, {"betas": 3}), (0.1, 0.0, {"momentum": -1.0}),
        (0.1, 0.0, {"nesterov": True}), (0.1, 0.0, {"lr": 1}), (0.1, 0.0, {"eps": "small"}),
    ]  # fmt: skip
    for lr, decay, options in cases:
        try:
            make_optimizer(name, [nn.Parameter(torch.ones(1))], lr, decay, options)
        except ValueError as error:
            with pytest.raises(ValueError, match=re.escape(str(error))):
                check_optimizer(name, lr, decay, options)
        else:
            check_optimizer(name, lr, decay, options)


def test_seeds_are_the_same_everywhere_and_differ_by_role() -> None:
    seeds = seeds_of(0, 0)
    roles = {"init": 6840261872783522198, "order": 5821926085217484743, "augmentation": 526019442474623966}
    assert seeds.model_dump() == roles
    assert derive_seed(1, 23) != derive_seed(12, 3)
    drawn = {value for replicate in range(50) for value in seeds_of(0, replicate).model_dump().values()}
    assert len(drawn) == 150
    assert all(0 <= value < 2**63 for value in drawn)
