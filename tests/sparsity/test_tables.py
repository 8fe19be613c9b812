"""One contract for every criterion, scope and schedule: exact counts, nested masks, determinism."""

import copy
from itertools import product

import pytest
import torch

from lth.sparsity import CRITERIA, SCHEDULES, SCOPES, Evidence, Masks, planned_counts, select

SHAPES = {"b": (7, 9), "a": (40,), "c": (3, 3, 3)}


def evidence(seed: int, dtype: torch.dtype = torch.float32) -> Evidence:
    """Weights with many ties, before and after a training."""
    generator = torch.Generator().manual_seed(seed)
    draws = [
        {name: (torch.randn(shape, generator=generator) * 4).round().to(dtype) / 4 for name, shape in SHAPES.items()}
        for _ in range(2)
    ]
    return Evidence(initial=draws[0], final=draws[1], generator=generator)


@pytest.mark.parametrize(("criterion", "scope", "schedule"), list(product(CRITERIA, SCOPES, SCHEDULES)))
def test_every_combination_prunes_exactly(criterion: str, scope: str, schedule: str) -> None:
    density, source = SCHEDULES[schedule].density, SCHEDULES[schedule].source
    levels: list[Masks] = [{}]
    for level in range(1, 6):
        target = {"sparsity": 1 - density(0.2, level), "scope": SCOPES[scope]}
        scores = CRITERIA[criterion](evidence(source(level)))
        masks = select(scores, levels[source(level)], **target)
        for group, keep in planned_counts({name: torch.Size(shape) for name, shape in SHAPES.items()}, **target):
            assert sum(int(masks[name].sum()) for name in group.names) == keep
        if level > 1 and (schedule == "iterative" or criterion != "random"):
            assert all(bool((masks[name] <= levels[-1][name]).all()) for name in masks)
        levels.append(masks)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_criterion_scores_every_weight_and_changes_nothing(criterion: str, dtype: torch.dtype) -> None:
    one = evidence(4, dtype)
    before = copy.deepcopy((one.initial, one.final))
    scores = CRITERIA[criterion](one)
    assert {name: tuple(score.shape) for name, score in scores.items()} == SHAPES
    assert not any(bool(score.isnan().any()) for score in scores.values())
    again = CRITERIA[criterion](evidence(4, dtype))
    assert all(torch.equal(score, again[name]) for name, score in scores.items())
    for now, then in zip((one.initial, one.final), before, strict=True):
        assert all(torch.equal(now[name], then[name]) for name in then)


def test_large_final_is_the_magnitude_and_random_ignores_it() -> None:
    one = evidence(2)
    assert all(torch.equal(score, one.final[name].abs()) for name, score in CRITERIA["large_final"](one).items())
    scores = CRITERIA["random"](one)
    assert all(bool(((score >= 0) & (score < 1)).all()) for score in scores.values())
    assert abs(float(torch.corrcoef(torch.stack([scores["b"].flatten(), one.final["b"].abs().flatten()]))[0, 1])) < 0.4


def test_random_does_not_depend_on_the_order_of_names() -> None:
    one, other = evidence(2), evidence(2)
    turned = Evidence(other.initial, dict(reversed(other.final.items())), other.generator)
    scores = CRITERIA["random"](one)
    assert all(torch.equal(score, scores[name]) for name, score in CRITERIA["random"](turned).items())


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_counts_from_what_remains(schedule: str) -> None:
    density, source = SCHEDULES[schedule].density, SCHEDULES[schedule].source
    assert [density(0.2, level) for level in range(4)] == pytest.approx([1.0, 0.8, 0.64, 0.512])
    assert [source(level) for level in (1, 2, 3)] == ([0, 1, 2] if schedule == "iterative" else [0, 0, 0])
