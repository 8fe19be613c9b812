"""Scopes: who is ranked with whom."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lth.sparsity import SCOPES, Group, global_scope, layerwise, per_pattern, select

SHAPES = {
    name: torch.Size(shape)
    for name, shape in {"conv1": (4, 2), "conv2": (6,), "fc.weight": (10,), "out": (2, 2)}.items()
}


def test_global_ranks_raw_scores_together() -> None:
    assert global_scope(SHAPES, 0.4, {}) == [Group(("conv1", "conv2", "fc.weight", "out"), 0.4)]
    scores = {"small": torch.full((10,), 0.1), "large": torch.full((10,), 1.0)}
    masks = select(scores, {}, density=0.5, scope=global_scope)
    assert [int(mask.sum()) for mask in masks.values()] == [0, 10]


def test_layerwise_gives_every_tensor_the_same_share() -> None:
    assert layerwise(SHAPES, 0.4, {}) == [Group((name,), 0.4) for name in SHAPES]
    masks = select({"small": torch.full((10,), 0.1), "large": torch.full((10,), 1.0)}, {}, density=0.5, scope=layerwise)
    assert [int(mask.sum()) for mask in masks.values()] == [5, 5]


def test_a_name_that_matches_two_patterns_is_an_error_because_order_must_not_decide() -> None:
    for scope in (layerwise, per_pattern):
        with pytest.raises(ValueError, match="'conv1' matches several patterns"):
            scope(SHAPES, 0.4, {"conv*": 0.1, "conv1": 0.9})


def test_patterns_set_their_own_density() -> None:
    by_pattern = {"conv*": 0.1, "out": 0.5}
    assert layerwise(SHAPES, 0.4, by_pattern) == [
        Group(("conv1",), 0.1),
        Group(("conv2",), 0.1),
        Group(("fc.weight",), 0.4),
        Group(("out",), 0.5),
    ]
    groups = per_pattern(SHAPES, 0.4, by_pattern)
    assert sorted(groups, key=lambda group: group.names) == [
        Group(("conv1", "conv2"), 0.1),
        Group(("fc.weight",), 0.4),
        Group(("out",), 0.5),
    ]


def test_per_pattern_ranks_a_pattern_together() -> None:
    scores = {"conv1": torch.full((6,), 0.1), "conv2": torch.full((6,), 1.0), "out": torch.full((4,), 0.01)}
    masks = select(scores, {}, density=0.75, scope=per_pattern, by_pattern={"conv*": 0.5})
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {"conv1": 0, "conv2": 6, "out": 3}


def test_patterns_that_cannot_be_honoured_are_errors() -> None:
    with pytest.raises(ValueError, match="scope 'global' shares out one budget itself, so 'out' cannot have a rate"):
        global_scope(SHAPES, 0.4, {"out": 0.1})
    for scope in (layerwise, per_pattern):
        with pytest.raises(ValueError, match="pattern 'cnv' matches no parameter. Names: conv1, conv2, fc.weight, out"):
            scope(SHAPES, 0.4, {"cnv*".rstrip("*"): 0.1})


LENET = {"hidden1": torch.Size((300, 784)), "hidden2": torch.Size((100, 300)), "output": torch.Size((10, 100))}


def kept(groups: list[Group], shapes: dict[str, torch.Size]) -> dict[str, int]:
    return {group.names[0]: round(shapes[group.names[0]].numel() * group.density) for group in groups}


def test_erk_worked_example() -> None:
    """LeNet at a tenth: (784 + 300), (300 + 100) and (100 + 10) share 26,620 weights.

    26620 / 1594 would give the output layer 1837 of its 1000 weights, so it stays whole; 25620 / 1484 is left for each
    unit of the others: 18714.3 and 6905.7.
    """
    assert kept(SCOPES["erk"](LENET, 0.1, {}), LENET) == {"hidden1": 18714, "hidden2": 6906, "output": 1000}


def test_uniform_plus_worked_example() -> None:
    shapes = {"first": torch.Size((10, 10)), "middle": torch.Size((20, 10)), "last": torch.Size((5, 10))}
    uniform_plus = SCOPES["uniform-plus"]
    assert kept(uniform_plus(shapes, 0.5, {}), shapes) == {"first": 100, "middle": 60, "last": 15}
    assert kept(uniform_plus(shapes, 0.35, {}), shapes) == {"first": 100, "middle": 13, "last": 10}  # last: 80 %
    with pytest.raises(ValueError, match="density 0.314 at least; 0.300 is asked"):
        uniform_plus(shapes, 0.3, {})


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5),
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
    st.sampled_from(["erk", "uniform-plus"]),
)
def test_a_shared_budget_is_met_exactly_and_never_grows(sizes: list[Any], shares: list[float], scope: str) -> None:
    shapes = {f"layer{index}": torch.Size(size) for index, size in enumerate(sizes)}
    total = sum(shape.numel() for shape in shapes.values())
    before = {name: shape.numel() for name, shape in shapes.items()}
    for share in sorted(shares, reverse=True):
        try:
            counts = kept(SCOPES[scope](shapes, share, {}), shapes)
        except ValueError:
            assert scope == "uniform-plus"
            return
        assert abs(sum(counts.values()) - total * share) <= 0.5 + 1e-6
        assert all(0 <= counts[name] <= shapes[name].numel() for name in shapes)
        assert all(counts[name] <= before[name] + 1 for name in shapes)  # rounding may move one weight between layers
        before = counts


@pytest.mark.parametrize("scope", ["erk", "uniform-plus", "global"])
def test_a_shared_budget_has_no_place_for_rates_by_pattern(scope: str) -> None:
    with pytest.raises(ValueError, match="cannot have a rate of its own"):
        SCOPES[scope](LENET, 0.5, {"hidden*": 0.2})


def test_a_pattern_that_is_a_name_stands_for_that_name() -> None:
    shapes = {name: torch.Size((10,)) for name in ("stage[0]", "stage0", "stage[1]")}
    groups = layerwise(shapes, 0.5, {"stage[0]": 0.2})
    assert groups == [Group(("stage[0]",), 0.2), Group(("stage0",), 0.5), Group(("stage[1]",), 0.5)]
    with pytest.raises(ValueError, match=r"'stage\[0\]' matches several patterns: stage\[0\], stage\*"):
        layerwise(shapes, 0.5, {"stage[0]": 0.2, "stage*": 0.3})
