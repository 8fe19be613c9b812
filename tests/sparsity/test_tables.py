"""Criteria that need nothing but weights: every weight is scored, nothing is changed, twice is the same."""

import copy

import pytest
import torch

from lth.sparsity import CRITERIA, Evidence, criterion

SHAPES = {"b": (7, 9), "a": (40,), "c": (3, 3, 3)}


def evidence(seed: int, dtype: torch.dtype = torch.float32) -> Evidence:
    """Weights with many ties, before and after a training."""
    generator = torch.Generator().manual_seed(seed)
    draws = [
        {name: (torch.randn(shape, generator=generator) * 4).round().to(dtype) / 4 for name, shape in SHAPES.items()}
        for _ in range(2)
    ]
    return Evidence(start=draws[0], end=draws[1], generator=generator)


@pytest.mark.parametrize(
    "name", [name for name in CRITERIA if not criterion(name).needs_examples and not criterion(name).traces]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_criterion_scores_every_weight_and_changes_nothing(name: str, dtype: torch.dtype) -> None:
    one = evidence(4, dtype)
    before = copy.deepcopy((one.start, one.end))
    scores = CRITERIA[name](one)
    assert {key: tuple(score.shape) for key, score in scores.items()} == SHAPES
    assert not any(bool(score.isnan().any()) for score in scores.values())
    again = CRITERIA[name](evidence(4, dtype))
    assert all(torch.equal(score, again[key]) for key, score in scores.items())
    for now, then in zip((one.start, one.end), before, strict=True):
        assert all(torch.equal(now[key], then[key]) for key in then)


def test_large_final_is_the_magnitude_and_random_ignores_it() -> None:
    one = evidence(2)
    assert all(torch.equal(score, one.end[name].abs()) for name, score in CRITERIA["large_final"](one).items())
    scores = CRITERIA["random"](one)
    assert all(bool(((score >= 0) & (score < 1)).all()) for score in scores.values())
    assert abs(float(torch.corrcoef(torch.stack([scores["b"].flatten(), one.end["b"].abs().flatten()]))[0, 1])) < 0.4


def test_random_does_not_depend_on_the_order_of_names() -> None:
    one, other = evidence(2), evidence(2)
    turned = Evidence(other.start, dict(reversed(other.end.items())), other.generator)
    scores = CRITERIA["random"](one)
    assert all(torch.equal(score, scores[name]) for name, score in CRITERIA["random"](turned).items())
