"""N of every M consecutive weights along the input axis, exactly, whatever was pruned before."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Size, Tensor

from lth.sparsity import Masks, Scores, layerwise, planned_counts, select
from lth.sparsity.granularities import granularity, n_of_m
from lth.sparsity.granularities.axes import Axes
from lth.sparsity.granularities.structure import Structure
from lth.sparsity.select import planned_density

SHAPES = {"linear": Size([3, 16]), "conv": Size([2, 9, 2, 2]), "inputs_first": Size([10, 3]), "bias": Size([5])}
STRUCTURE = Structure(
    {"linear": Axes(), "conv": Axes(is_convolution=True), "inputs_first": Axes(output=1, input=0)},
)
PATTERNS = ["2:4", "1:4", "3:8", "1:2"]
seeds = st.integers(0, 2**31 - 1)


def tied_scores(seed: int) -> Scores:
    """Scores of four values only: nearly all of them tie."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randint(-1, 3, shape, generator=generator).float() for name, shape in SHAPES.items()}


def cut(scores: Scores, masks: Masks, name: str) -> Masks:
    kept, group = map(int, name.split(":"))
    return select(scores, masks, density=kept / group, granularity=granularity(name), structure=STRUCTURE)


def rows(tensor: Tensor, axis: int) -> list[list[float]]:
    """The weights along the input axis, one list per output and position."""
    moved = tensor.movedim(axis, -1)
    return moved.reshape(-1, moved.shape[-1]).tolist()


def reference(scores: list[float], alive: list[bool], kept: int, group: int) -> list[bool]:
    """One line along the input axis, group by group, by Python's own sort."""
    new = [False] * len(scores)
    for start in range(0, len(scores), group):
        members = range(start, min(start + group, len(scores)))
        keep = kept if len(members) == group else max(1, math.floor(len(members) * kept / group + 0.5))
        ranked = sorted((index for index in members if alive[index]), key=lambda index: (scores[index], index))
        for index in ranked[max(0, len(ranked) - keep) :]:
            new[index] = True
    return new


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(PATTERNS), st.floats(0, 1))
def test_every_group_keeps_what_a_sort_would(seed: int, name: str, share_pruned: float) -> None:
    scores = tied_scores(seed)
    generator = torch.Generator().manual_seed(seed)
    old = {key: torch.rand(shape, generator=generator) >= share_pruned for key, shape in SHAPES.items()}
    new = cut(scores, old, name)
    kept, group = map(int, name.split(":"))
    for key, axes in STRUCTURE.axes.items():
        lines = zip(rows(scores[key], axes.input), rows(old[key], axes.input), rows(new[key], axes.input), strict=True)
        for values, alive, found in lines:
            assert found == reference(values, [bool(each) for each in alive], kept, group)
    assert list(new) == list(SHAPES)
    assert torch.equal(new["bias"], old["bias"])


def test_by_hand() -> None:
    """Two whole groups and one of three: ties go to the lower index, 1.5 rounds up to 2."""
    scores = {"w": torch.tensor([[3.0, 1.0, 2.0, 0.0, 5.0, 5.0, 5.0, 5.0, 1.0, 3.0, 2.0]])}
    new = select(scores, {}, density=0.5, granularity=granularity("2:4"))
    assert new["w"].int().tolist() == [[1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1]]


def test_a_lonely_weight_stays() -> None:
    """A first convolution of a grey image has one input: its groups of one are not emptied."""
    scores = {"conv": torch.zeros(4, 1, 3, 3), "linear": torch.zeros(2, 8)}
    new = select(scores, {}, density=0.25, granularity=granularity("1:4"))
    assert bool(new["conv"].all())
    assert new["linear"].sum(1).tolist() == [2, 2]


def test_a_pruned_weight_never_takes_the_place_of_a_lower_one() -> None:
    scores = {"w": torch.tensor([[9.0, -math.inf, -math.inf, 9.0, math.nan]])}
    old = {"w": torch.tensor([[False, True, True, False, False]])}
    assert torch.equal(select(scores, old, density=0.5, granularity=granularity("2:4"))["w"], old["w"])


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_masks_are_nested_over_patterns(seed: int) -> None:
    masks: Masks = {}
    for level, name in enumerate(["3:4", "2:4", "2:4", "1:4"]):
        old, masks = masks, cut(tied_scores(seed + level), masks, name)
        assert all(bool((mask <= old[key]).all()) for key, mask in masks.items() if key in old)
    whole = masks["linear"].reshape(-1, 4).sum(1)
    assert bool((whole == 1).all())


def test_chunk_borders_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = tied_scores(3)
    whole = cut(scores, {}, "2:4")
    for chunk in (1, 8, 12):
        monkeypatch.setattr(n_of_m, "CHUNK", chunk)
        assert all(torch.equal(mask, whole[name]) for name, mask in cut(scores, {}, "2:4").items())


def test_key_ranks_by_magnitude() -> None:
    scores = {"w": torch.tensor([[-3.0, 1.0, 2.0, -0.0]])}
    new = select(scores, {}, density=0.5, granularity=granularity("2:4"), key=torch.abs)
    assert new["w"].tolist() == [[True, False, True, False]]


@pytest.mark.parametrize("name", PATTERNS)
def test_plans_equal_what_select_does(name: str) -> None:
    kept, group = map(int, name.split(":"))
    how: dict[str, Any] = {"density": kept / group, "granularity": granularity(name), "structure": STRUCTURE}
    new = cut(tied_scores(7), {}, name)
    planned = planned_counts(SHAPES, scope=layerwise, **how)
    assert {group.names: keep for group, keep in planned} == {(key,): int(new[key].sum()) for key in STRUCTURE.axes}
    total = sum(mask.numel() for mask in new.values())
    density = sum(int(mask.sum()) for mask in new.values()) / total
    assert planned_density(SHAPES, scope=layerwise, **how) == density


def test_the_pattern_fixes_the_density() -> None:
    with pytest.raises(ValueError, match=r"'2:4' keeps exactly half: ask for density 0.5, not 0.2"):
        select(tied_scores(0), {}, density=0.2, granularity=granularity("2:4"))
    with pytest.raises(ValueError, match=r"'3:8' keeps exactly 3/8: ask for density 0.375, not 0.5"):
        planned_counts(SHAPES, density=0.5, scope=layerwise, granularity=granularity("3:8"))
    scores = {"w": torch.rand(4, 7)}  # the pattern keeps 2 of 4 and 2 of 3 there
    assert int(select(scores, {}, density=4 / 7, granularity=granularity("2:4"))["w"].sum()) == 16


def test_rates_by_pattern_have_no_effect() -> None:
    with pytest.warns(UserWarning, match="rates by pattern have no effect with granularity '2:4'"):
        select(tied_scores(0), {}, density=0.5, by_pattern={"linear": 0.1}, granularity=granularity("2:4"))


def test_what_cannot_be_ranked_is_an_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        select({"w": torch.tensor([[math.nan, 1.0]])}, {}, density=0.5, granularity=granularity("1:2"))
    with pytest.raises(ValueError, match="'1:2' needs tensors of two axes or more; prunable: bias"):
        select({"bias": torch.zeros(4)}, {}, density=0.5, granularity=granularity("1:2"))
