"""Overlap, survival and revival, and what chance gives."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lth.sparsity import Masks, select
from lth.sparsity.metrics import Overlap, overlap, overlap_by_tensor, pooled

BITS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


def mask(*bits: int) -> torch.Tensor:
    return torch.tensor(bits, dtype=torch.bool)


EARLIER: Masks = {"a": mask(1, 1, 1, 0, 0, 0), "b": mask(1, 1, 0, 0)}
LATER: Masks = {"a": mask(1, 1, 0, 1, 0, 0), "b": mask(1, 0, 0, 0)}


def test_by_hand() -> None:
    by_tensor = overlap_by_tensor(EARLIER, LATER)
    assert by_tensor == {"a": Overlap(6, 3, 3, 2, 9 / 6), "b": Overlap(4, 2, 1, 1, 2 / 4)}
    assert (by_tensor["a"].iou, by_tensor["b"].iou) == (2 / 4, 1 / 2)
    assert by_tensor["a"].chance_iou == pytest.approx(0.25 / (1 - 0.25))  # a * b / (a + b - a * b)
    whole = overlap(EARLIER, LATER)
    assert whole == pooled(by_tensor.values()) == Overlap(10, 5, 4, 3, 2.0)
    assert whole.iou == 3 / 6
    assert whole.chance_iou == 2 / 7
    assert whole.survival == 3 / 5
    assert whole.chance_survival == 2 / 5
    assert whole.revival == 1 / 5
    assert whole.chance_revival == 2 / 5
    assert by_tensor["b"].chance_revival == by_tensor["b"].chance_survival == 1 / 4  # the later density


def test_chance_is_what_random_masks_give() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes, kept = {"a": 4000, "b": 1000}, ({"a": 2000, "b": 100}, {"a": 1000, "b": 900})
    found = []
    for _ in range(60):
        pair: tuple[Masks, Masks] = ({}, {})
        for masks, counts in zip(pair, kept, strict=True):
            for name, size in sizes.items():
                masks[name] = torch.randperm(size, generator=generator) < counts[name]
        found.append(overlap(*pair))
    for name in ("iou", "survival", "revival"):
        mean = sum(getattr(each, name) for each in found) / len(found)
        assert mean == pytest.approx(getattr(found[0], f"chance_{name}"), abs=0.003)


@settings(deadline=None)
@given(BITS)
def test_iou_is_symmetric_and_1_for_equal_masks_alone(bits: list[tuple[bool, bool]]) -> None:
    first: Masks = {"w": torch.tensor([bit for bit, _ in bits])}
    second: Masks = {"w": torch.tensor([bit for _, bit in bits])}
    there, back = overlap(first, second), overlap(second, first)
    assert (there.iou, there.chance_iou) == (back.iou, back.chance_iou)
    assert 0 <= there.iou <= 1
    assert (there.iou == 1) == torch.equal(first["w"], second["w"])


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_masks_that_shrink_revive_nothing(scores: list[int], share: float, more: float) -> None:
    values = {"w": torch.tensor(scores, dtype=torch.float32)}
    earlier = select(values, {}, density=share)
    later = select({"w": -values["w"]}, earlier, density=min(share, more))
    assert overlap(earlier, later).revival == 0
    kept = int(earlier["w"].sum())
    assert overlap(earlier, later).survival == (int(later["w"].sum()) / kept if kept else 1)


def test_a_parameter_without_a_mask_is_whole() -> None:
    assert overlap({}, LATER).iou == overlap(LATER, {}).iou == 4 / 10
    assert overlap({"a": LATER["a"]}, LATER) == overlap({"a": LATER["a"], "b": mask(1, 1, 1, 1)}, LATER)
    assert overlap({}, {}).iou == 1


def test_empty_masks() -> None:
    nothing: Masks = {"w": mask(0, 0)}
    assert overlap(nothing, nothing) == Overlap(2, 0, 0, 0, 0.0)
    assert (overlap(nothing, nothing).iou, overlap(nothing, nothing).survival) == (1, 1)
    assert overlap({"w": mask(1, 1)}, nothing).revival == 0


def test_masks_of_two_architectures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'w' has shape \(2,\) in one and \(3,\) in the other"):
        overlap({"w": mask(1, 0)}, {"w": mask(1, 0, 0)})
    with pytest.raises(ValueError, match="no parameter in common"):
        overlap({"v": mask(1, 0)}, {"w": mask(1, 0)})
