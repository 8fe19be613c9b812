"""Scopes: who is ranked with whom."""

import pytest
import torch

from lth.sparsity import Group, global_scope, layerwise, per_pattern, select

SHAPES = {
    name: torch.Size(shape)
    for name, shape in {"conv1": (4, 2), "conv2": (6,), "fc.weight": (10,), "out": (2, 2)}.items()
}


def test_global_ranks_raw_scores_together() -> None:
    assert global_scope(SHAPES, 0.4, {}) == [Group(("conv1", "conv2", "fc.weight", "out"), 0.4)]
    scores = {"small": torch.full((10,), 0.1), "large": torch.full((10,), 1.0)}
    masks = select(scores, {}, sparsity=0.5, scope=global_scope)
    assert [int(mask.sum()) for mask in masks.values()] == [0, 10]


def test_layerwise_gives_every_tensor_the_same_share() -> None:
    assert layerwise(SHAPES, 0.4, {}) == [Group((name,), 0.4) for name in SHAPES]
    masks = select(
        {"small": torch.full((10,), 0.1), "large": torch.full((10,), 1.0)}, {}, sparsity=0.5, scope=layerwise
    )
    assert [int(mask.sum()) for mask in masks.values()] == [5, 5]


def test_a_name_that_matches_two_patterns_is_an_error_because_order_must_not_decide() -> None:
    for scope in (layerwise, per_pattern):
        with pytest.raises(ValueError, match="'conv1' matches several patterns"):
            scope(SHAPES, 0.4, {"conv*": 0.1, "conv1": 0.9})


def test_patterns_set_their_own_sparsity() -> None:
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
    masks = select(scores, {}, sparsity=0.25, scope=per_pattern, by_pattern={"conv*": 0.5})
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {"conv1": 0, "conv2": 6, "out": 3}


def test_patterns_that_cannot_be_honoured_are_errors() -> None:
    with pytest.raises(ValueError, match="scope 'global' ranks all weights together, so 'out' cannot have a rate"):
        global_scope(SHAPES, 0.4, {"out": 0.1})
    for scope in (layerwise, per_pattern):
        with pytest.raises(ValueError, match="pattern 'cnv' matches no parameter. Names: conv1, conv2, fc.weight, out"):
            scope(SHAPES, 0.4, {"cnv*".rstrip("*"): 0.1})
