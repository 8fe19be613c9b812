"""Exact selection: by count, ties to the lower canonical index, masks that only shrink."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lth.sparsity import SCOPES, Masks, Scores, density, global_scope, layerwise, planned_counts, select, threshold

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
SHAPES = {"b.weight": (4, 5), "a.weight": (30,), "c": (2, 3, 2)}
TIES = torch.tensor([0.0, -0.0, 1.0, -1.0, 0.5])
seeds = st.integers(0, 2**31 - 1)
densities = st.floats(0, 1, allow_nan=False)


def tied_scores(seed: int, dtype: torch.dtype = torch.float32) -> Scores:
    """Scores of five values only: nearly all of them tie."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: TIES[torch.randint(len(TIES), shape, generator=generator)].to(dtype) for name, shape in SHAPES.items()
    }


def reference(scores: Scores, masks: Masks, keep: int) -> Masks:
    """The same choice by a stable sort: sorted names, row-major, lower index first among equals."""
    names = sorted(scores)
    flat = torch.cat([scores[name].reshape(-1).double() + 0.0 for name in names])
    kept = torch.cat([masks[name].reshape(-1) if name in masks else torch.ones(scores[name].numel()) for name in names])
    order = torch.argsort(flat, stable=True)
    alive = order[kept.bool()[order]]
    kept = torch.zeros(len(flat), dtype=torch.bool)
    kept[alive[max(0, len(alive) - keep) :]] = True
    pieces = kept.split([scores[name].numel() for name in names])
    return {name: piece.reshape(scores[name].shape) for name, piece in zip(names, pieces, strict=True)}


def count(masks: Masks) -> int:
    """Weights kept."""
    return sum(int(mask.sum()) for mask in masks.values())


@settings(max_examples=100, deadline=None)
@given(seeds, densities, st.sampled_from(DTYPES))
def test_counts_and_choice_are_exact_under_ties(seed: int, share: float, dtype: torch.dtype) -> None:
    scores = tied_scores(seed, dtype)
    masks = select(scores, {}, density=share)
    keep = math.floor(62 * share + 0.5 + 1e-9)
    assert count(masks) == keep
    wanted = reference(scores, {}, keep)
    assert list(masks) == list(SHAPES)
    assert all(mask.dtype == torch.bool and torch.equal(mask, wanted[name]) for name, mask in masks.items())


@settings(max_examples=50, deadline=None)
@given(
    seeds, st.lists(densities, min_size=2, max_size=6), st.sampled_from(sorted(SCOPES.keys() - {"uniform-plus", "owl"}))
)
def test_masks_are_nested_over_levels(seed: int, levels: list[float], scope: str) -> None:
    """Each level is scored anew; what is pruned never returns, whatever is asked."""
    masks: Masks = {}
    for level, share in enumerate(levels):
        old, scores = masks, tied_scores(seed + level)
        masks = select(scores, old, density=share, scope=SCOPES[scope])
        for name, mask in masks.items():
            assert name not in old or bool((mask <= old[name]).all())
        if scope == "global":
            keep = math.floor(62 * share + 0.5 + 1e-9)
            assert count(masks) == min(keep, count(old) if old else 62)
            wanted = reference(scores, old, keep)
            assert all(torch.equal(mask, wanted[name]) for name, mask in masks.items())


def test_eight_levels_of_a_fifth_leave_eight_of_fifty() -> None:
    """Rounding does not add up, and a threshold cut would leave 3."""
    masks: Masks = {}
    left = []
    for level in range(1, 9):
        masks = select({"w": torch.ones(50)}, masks, density=0.8**level)
        left.append(count(masks))
    assert left == [40, 32, 26, 20, 16, 13, 10, 8]


def test_the_lower_index_goes_first_in_the_order_of_sorted_names() -> None:
    scores = {"z": torch.zeros(2, 2), "a": torch.zeros(3), "m": torch.tensor([-0.0, 0.0])}
    masks = select(scores, {}, density=3 / 9)
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "z": [[False, True], [True, True]],
        "a": [False, False, False],
        "m": [False, False],
    }


def test_minus_zero_ties_with_zero() -> None:
    masks = select({"w": torch.tensor([0.0, -0.0, 0.0, -0.0])}, {}, density=0.5)
    assert masks["w"].tolist() == [False, False, True, True]


@pytest.mark.parametrize("dtype", DTYPES)
def test_key_ranks_by_magnitude_without_a_copy(dtype: torch.dtype) -> None:
    scores = {"w": torch.randn(101, generator=torch.Generator().manual_seed(3)).to(dtype)}
    by_key, by_copy = (
        select(scores, {}, density=0.63, key=torch.abs),
        select({"w": scores["w"].abs()}, {}, density=0.63),
    )
    assert torch.equal(by_key["w"], by_copy["w"])
    assert int(by_key["w"].sum()) == 64
    assert not torch.equal(by_key["w"], select(scores, {}, density=0.63)["w"])


@pytest.mark.parametrize("other", [torch.float32, torch.float16, torch.bfloat16])
def test_tensors_of_different_precision_are_compared_exactly(other: torch.dtype) -> None:
    """A threshold from the finer tensor must not be rounded to the coarser one: 1 is not 1 - 1e-12."""
    coarse = torch.tensor([1.0, 1.0, 2.0], dtype=other)
    for fine in ([1 - 1e-12, 0.5, 3.0], [1 + 1e-12, 0.5, 3.0]):
        scores = {"a": coarse, "b": torch.tensor(fine, dtype=torch.float64)}
        for removed in range(7):
            masks = select(scores, {}, density=1 - removed / 6)
            wanted = reference(scores, {}, 6 - removed)
            assert all(torch.equal(mask, wanted[name]) for name, mask in masks.items()), (fine, removed)


def test_chunk_borders_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = tied_scores(5)
    whole = select(scores, {}, density=0.45)
    for chunk in (1, 2, 3, 29, 30, 31):
        monkeypatch.setattr(threshold, "CHUNK", chunk)
        assert all(torch.equal(mask, whole[name]) for name, mask in select(scores, {}, density=0.45).items())


def test_masks_are_fresh_and_inputs_untouched() -> None:
    scores, masks = tied_scores(1), {"a.weight": torch.arange(30) % 3 > 0}
    before = masks["a.weight"].clone()
    for share in (1.0, 0.4):
        new = select(scores, masks, density=share)
        new["a.weight"].zero_()
        assert torch.equal(masks["a.weight"], before)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_densities_outside_their_range_are_errors(share: float) -> None:
    with pytest.raises(ValueError, match=r"density .* is outside \[0, 1\]"):
        select(tied_scores(0), {}, density=share)
    with pytest.raises(ValueError, match=r"density .* is outside \[0, 1\]"):
        select(tied_scores(0), {}, density=0.5, scope=layerwise, by_pattern={"c": share})


def test_nan_scores_and_foreign_masks_are_errors() -> None:
    scores = tied_scores(0)
    scores["c"][0, 0, 0] = math.nan
    with pytest.raises(ValueError, match="NaN"):
        select(scores, {}, density=0.9)
    alive = torch.ones(2, 3, 2, dtype=torch.bool)
    alive[0, 0, 0] = False
    assert count(select(scores, {"c": alive}, density=0.5)) == 31
    with pytest.raises(ValueError, match=r"the mask of 'c' has shape \(3,\), its weights \(2, 3, 2\)"):
        select(tied_scores(0), {"c": torch.ones(3, dtype=torch.bool)}, density=0.9)


@settings(max_examples=60, deadline=None)
@given(densities, densities, st.sampled_from(["global", "layerwise", "per-pattern", "erk"]))
def test_planned_counts_equal_what_select_does(share: float, other: float, scope: str) -> None:
    by_pattern = {} if scope in ("global", "erk") else {"*.weight": other}
    scores = tied_scores(9)
    masks = select(scores, {}, density=share, scope=SCOPES[scope], by_pattern=by_pattern)
    shapes = {name: score.shape for name, score in scores.items()}
    planned = planned_counts(shapes, density=share, scope=SCOPES[scope], by_pattern=by_pattern)
    assert sorted(name for group, _ in planned for name in group.names) == sorted(scores)
    for group, keep in planned:
        assert count({name: masks[name] for name in group.names}) == keep


def test_a_group_that_is_sparser_already_stays() -> None:
    old = {"w": torch.arange(10) < 3}
    assert torch.equal(select({"w": torch.arange(10.0)}, old, density=0.5)["w"], old["w"])
    assert density(select({"w": torch.arange(10.0)}, {}, density=1.0, scope=global_scope)) == 1.0
