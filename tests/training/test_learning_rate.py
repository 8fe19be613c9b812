"""The learning rate of each step, against PyTorch's schedulers; and which parameters decay, against torch's AdamW."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import lr_scheduler
from trainings import ConvNet, Make, assert_same, digits, member, run, short_training, small_net, x_and_y

from lth.config import Training
from lth.data.order import epoch_order
from lth.training import Member

STEPS = 50


def scheduled(make: Any, lr: float = 0.4) -> list[float]:
    """The learning rate of every step under one of PyTorch's schedulers."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler, rates = make(optimizer), []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("final_lr", [0.0, 0.05])
@pytest.mark.parametrize("decay", ["cosine", "linear"])
def test_decay_equals_torchs_scheduler(decay: Any, final_lr: float) -> None:
    training = short_training(steps=STEPS, lr=0.4, lr_decay=decay, final_lr=final_lr)

    def make(optimizer: torch.optim.Optimizer) -> Any:
        if decay == "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=final_lr)
        return lr_scheduler.LinearLR(optimizer, 1.0, final_lr / 0.4 if final_lr else 1e-12, STEPS)

    assert [training.lr_at(step) for step in range(STEPS)] == pytest.approx(scheduled(make), abs=1e-10)
    assert training.lr_at(STEPS) == pytest.approx(final_lr, abs=1e-15)


def test_steps_equal_torchs_scheduler() -> None:
    training = short_training(steps=STEPS, lr=0.4, lr_decay="step", lr_milestones=(10, 30), lr_factor=0.2)
    wanted = scheduled(lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [10, 30], gamma=0.2))
    assert [training.lr_at(step) for step in range(STEPS)] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("decay", ["constant", "cosine", "linear"])
def test_warm_up_rises_to_the_peak_and_decay_begins_there(decay: Any) -> None:
    training = short_training(steps=STEPS, lr=0.4, lr_decay=decay, final_lr=0.1, warmup=10)
    assert [training.lr_at(step) for step in range(11)] == pytest.approx(
        [0.04 * (step + 1) for step in range(10)] + [0.4]
    )
    after = short_training(steps=STEPS - 10, lr=0.4, lr_decay=decay, final_lr=0.1)
    assert [training.lr_at(step) for step in range(10, STEPS)] == [after.lr_at(step) for step in range(STEPS - 10)]


def test_fine_tuning_stays_at_the_last_rate() -> None:
    training = short_training(steps=STEPS, lr=0.4, lr_decay="cosine", final_lr=0.1, warmup=5, first_step=7)
    last = training.at_last_lr()
    assert {last.lr_at(step) for step in range(STEPS)} == {training.lr_at(STEPS - 1)}
    assert (last.first_step, last.warmup) == (0, 0)


def by_hand(one: Member, make: Make, training: Training, is_spared: Any) -> nn.Module:
    """The network after its training by a loop whose optimizer has two groups."""
    (x, y), module = x_and_y(digits()["train"]), make().double()
    module.load_state_dict(one.start)
    named = list(module.named_parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [value for name, value in named if not is_spared(name, value)]},
            {"params": [value for name, value in named if is_spared(name, value)], "weight_decay": 0.0},
        ],
        weight_decay=training.weight_decay,
    )
    order = epoch_order(len(y), one.seeds.order, 0)
    for step in range(training.steps):
        batch = order[step * training.batch_size : (step + 1) * training.batch_size]
        for group in optimizer.param_groups:
            group["lr"] = training.lr_at(step)
        optimizer.zero_grad()
        F.cross_entropy(module(x[batch].double()), y[batch]).backward()
        optimizer.step()
    return module


SPARED: dict[str, tuple[tuple[str, ...], Any]] = {
    "vectors": (("vectors",), lambda name, value: value.ndim < 2),
    "pattern": (("conv1*",), lambda name, value: name.startswith("conv1")),
    "both": (("output.weight", "vectors"), lambda name, value: name == "output.weight" or value.ndim < 2),
    "all": (("*",), lambda name, value: True),
}


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("case", SPARED)
def test_what_does_not_decay(case: str, size: int) -> None:
    """In a stack a vector is one of a single member."""
    no_decay, is_spared = SPARED[case]
    training = short_training(
        precision="float64", optimizer="adamw", weight_decay=0.5, no_decay=no_decay, lr_decay="cosine", final_lr=0.002,
        warmup=3,
    )  # fmt: skip
    members = [member(ConvNet, seed, density=None) for seed in range(size)]
    for each, outcome in zip(members, run(members, ConvNet(), training), strict=True):
        for name, value in by_hand(each, ConvNet, training, is_spared).state_dict().items():
            torch.testing.assert_close(outcome.weights[name], value, rtol=0, atol=1e-11, msg=name)


def test_patterns_that_match_nothing_are_errors() -> None:
    training = short_training(weight_decay=0.1, no_decay=["bais"])
    with pytest.raises(ValueError, match="bais"):
        run([member(small_net, 1)], small_net(), training)


def test_without_decay_nothing_is_spared() -> None:
    one = member(small_net, 1)
    plain, spared = (run([one], small_net(), short_training(no_decay=names)) for names in ((), ("vectors",)))
    assert_same(plain, spared)
