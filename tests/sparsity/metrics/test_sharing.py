"""What several masks share, against counting by hand, and against the overlap of two."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lth.sparsity import Masks, merged
from lth.sparsity.metrics import overlap_by_tensor, pooled, sharing_by_tensor, sharing_in_all


def masks_of(*rows: str) -> Masks:
    """Masks by the names a, b, ...: a letter x is kept."""
    return {chr(97 + i): torch.tensor([letter == "x" for letter in row]) for i, row in enumerate(rows)}


def test_three_masks_by_hand() -> None:
    shared = sharing_by_tensor([masks_of("xx..", "x."), masks_of("x.x.", "x."), masks_of("x..x", ".x")])
    first = shared["a"]
    assert (first.num_weights, first.sizes, first.union, first.intersection) == (4, (2, 2, 2), 4, 1)
    assert first.iou == 1 / 4
    assert first.expected_intersection == pytest.approx(4 / 8)
    assert first.expected_union == pytest.approx(4 * 7 / 8)
    assert first.chance_iou == pytest.approx(1 / 7)
    overall = sharing_in_all(shared.values())
    assert (overall.num_weights, overall.sizes, overall.union, overall.intersection) == (6, (3, 3, 3), 6, 1)
    assert overall.chance_iou == pytest.approx((4 / 8 + 2 / 8) / (4 * 7 / 8 + 2 * 7 / 8))


def test_masks_that_keep_nothing_are_equal() -> None:
    nothing = sharing_in_all(sharing_by_tensor([masks_of(".."), masks_of("..")]).values())
    assert (nothing.union, nothing.iou, nothing.chance_iou) == (0, 1.0, 1.0)


drawn = st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=2, max_size=5)


@given(drawn)
def test_counts_of_any_masks(rows: list[list[bool]]) -> None:
    masks = [{"a": torch.tensor(row[:8]), "b": torch.tensor(row[8:])} for row in rows]
    for name, each in sharing_by_tensor(masks).items():
        assert max(each.sizes) <= each.union <= min(sum(each.sizes), each.num_weights)
        assert each.intersection <= min(each.sizes)
        assert each.union == int(merged(masks, "union")[name].sum())
        assert each.intersection == int(merged(masks, "intersection")[name].sum())
        assert 0 <= each.chance_iou <= 1
        assert each.intersection <= int(merged(masks, "majority")[name].sum()) <= each.union
    two, pairs = sharing_by_tensor(masks[:2]), overlap_by_tensor(*masks[:2])
    for one, other in ((sharing_in_all(two.values()), pooled(pairs.values())), *((two[n], pairs[n]) for n in two)):
        assert (one.iou, one.intersection, one.sizes) == (other.iou, other.both, (other.earlier, other.later))
        assert one.chance_iou == pytest.approx(other.chance_iou)
