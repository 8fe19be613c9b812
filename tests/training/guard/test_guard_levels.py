"""Levels of iterative magnitude pruning around a loop: the masks of `select`, exact rewinding, clear errors."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from guard_loops import batch, check_frozen, loop, net, same_bits, state
from sklearn.datasets import load_digits
from torch import nn

from lth.sparsity.metrics import density
from lth.training.guard import LoopLevel, levels
from lth.training.sparsifiers.method import keep, score

DIGITS = [torch.tensor(each) for each in load_digits(return_X_y=True)]


def digits_net() -> nn.Module:
    """64-12-10 with batch norm."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10))


def train(level: LoopLevel, steps: int = 12) -> list[dict[str, torch.Tensor]]:
    """Train on digits by SGD with momentum and decay; states after every step."""
    optimizer = torch.optim.SGD(level.model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    inputs, labels = DIGITS[0].float() / 16, DIGITS[1].long()
    states = []
    for step in range(level.first_step, steps):
        rows = slice(60 * step, 60 * step + 60)
        optimizer.zero_grad()
        F.cross_entropy(level.model(inputs[rows]), labels[rows]).backward()
        torch.nn.utils.clip_grad_norm_(level.model.parameters(), 1.0)
        optimizer.step()
        level.step()  # after an optimizer, this changes nothing
        states.append(state(level.model))
        check_frozen(level.model, level.masks)
    return states


@pytest.mark.parametrize("rewind_to", [0, 5])
@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("criterion", ["large_final", "magnitude_increase"])
def test_masks_of_select_and_exact_rewinding(criterion: str, scope: str, rewind_to: int) -> None:
    model = digits_net()
    start, states, masks, numbers = state(model), [], {}, []
    rewind = start
    for level in levels(model, levels=3, rate=0.4, rewind_to=rewind_to, criterion=criterion, scope=scope):
        numbers.append((level.number, level.first_step))
        assert level.model is model
        if level.number:
            ends = {name: states[-1][name] for name in masks}
            begun = {name: start[name] for name in masks}
            scores = score(criterion, begun, ends, masks, torch.Generator(), {})
            wanted = keep(scores, masks, 0.6**level.number, scope)
            assert all(torch.equal(mask, level.masks[name]) for name, mask in wanted.items())
            assert level.density == density(wanted) == pytest.approx(0.6**level.number, abs=2e-3)
        masks, start = level.masks, state(model)
        for name, value in start.items():
            pruned = ~masks[name] if name in masks else torch.zeros_like(value, dtype=torch.bool)
            assert same_bits(value, rewind[name].masked_fill(pruned, 0)), name
        assert all(value.grad is None for value in model.parameters())
        states = train(level)
        if level.number == 0 and rewind_to:
            rewind = states[rewind_to - 1]
            assert int(rewind["1.num_batches_tracked"]) == 5
    assert numbers == [(0, 0), (1, rewind_to), (2, rewind_to), (3, rewind_to)]
    check_frozen(model, masks)
    loop(nn.Sequential(nn.Linear(16, 64), model), torch.optim.SGD(model.parameters(), lr=0.1), 1)  # nothing holds on
    assert (model.get_parameter("0.weight")[~masks["0.weight"]] != 0).float().mean() > 0.5  # units may be dead


def test_updates_without_an_optimizer() -> None:
    model = net()
    for level in levels(model, levels=1, rate=0.5, rewind_to=3):
        for step in range(5):
            inputs, labels = batch(step)
            model.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            with torch.no_grad():
                for value in model.parameters():
                    value.sub_(value.grad, alpha=0.1).mul_(0.99).add_(1e-3)
            level.step()
            check_frozen(model, level.masks)
            if (level.number, step) == (0, 2):
                rewind = state(model)
        if level.number == 0:
            continue
        assert level.density == 0.5

    assert rewind["0.bias"].any()


def test_steps_that_a_scaler_skips_do_not_count() -> None:
    """Also the first ones, when no step of the optimizer was seen yet; and of two optimizers one counts."""
    model = net()
    first, second = (torch.optim.SGD(model[index].parameters(), lr=0.1) for index in (0, 3))
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    search = levels(model, levels=1, rate=0.5, rewind_to=2)
    level = next(search)
    taken = {}
    for step in range(6):
        inputs, labels = batch(step)
        first.zero_grad()
        second.zero_grad()
        scaler.scale(F.cross_entropy(model(inputs), labels)).backward()
        for index in (0, 3):
            if step in (0, 1, 3):
                model[index].weight.grad[0, 0] = float("inf")
        scaler.step(second)
        scaler.step(first)
        scaler.update()
        level.step()
        taken[step] = state(model)
    level = next(search)
    for name, mask in level.masks.items():
        # of step 4, what had happened when the second optimizer, which counts, had stepped
        assert same_bits(model.get_parameter(name)[mask], (taken[4] if name == "3.weight" else taken[2])[name][mask])
    search.close()


def test_a_level_that_ends_too_early_says_so() -> None:
    search = levels(net(), levels=1, rewind_to=9)
    level = next(search)
    loop(level.model, torch.optim.SGD(level.model.parameters(), lr=0.1), 4)
    with pytest.raises(
        ValueError, match=r"level 0 ended after 4 steps, before its rewind point at step 9: .* level\.step\(\)"
    ):
        next(search)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 1.0}, "a rate lies between 0 and 1"),
        ({"rate": 0.2, "per_level": 0.1}, "rate 0.2 counts of the remaining weights, per_level 0.1 of all"),
        ({"per_level": 0.0}, "per_level 0.0: a rate lies between 0 and 1"),
        ({"per_level": 0.5, "levels": 2}, "leaves none at level 2: ask for at most 1"),
        ({"levels": 0}, "levels is 1 or more, rewind_to 0 or more"),
        ({"criterion": "large_finl"}, "unknown criterion 'large_finl'"),
        ({"criterion": "snip"}, "snip"),
        ({"scope": "globl"}, "unknown scope 'globl'"),
        ({"prune_only": ["9.*"]}, r"9\.\*"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_trained(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        levels(net(), **settings)


def test_steps_of_all_weights() -> None:
    model = digits_net()
    densities = []
    for level in levels(model, levels=9, per_level=0.1):
        densities.append(level.density)
        train(level, 2)
    assert densities == pytest.approx([1 - 0.1 * number for number in range(10)], abs=1e-3)  # of 888 weights


def test_leaving_the_loop_lets_go() -> None:
    model = net()
    for level in levels(model, levels=3, rate=0.5):
        loop(model, torch.optim.SGD(model.parameters(), lr=0.1), 2)
        if level.number == 1:
            break
    check_frozen(model, level.masks)
    loop(model, torch.optim.SGD(model.parameters(), lr=0.1), 1)
    assert (model.get_parameter("0.weight")[~level.masks["0.weight"]] != 0).float().mean() > 0.9
