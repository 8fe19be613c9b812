"""Masks of masks, by hand and by their algebra."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lth.sparsity import MERGES, Masks, complement, merged

BITS = [
    torch.tensor([1, 1, 1, 1, 0, 0, 0, 0], dtype=torch.bool),
    torch.tensor([1, 1, 0, 0, 1, 1, 0, 0], dtype=torch.bool),
    torch.tensor([1, 0, 1, 0, 1, 0, 1, 0], dtype=torch.bool),
]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("union", [1, 1, 1, 1, 1, 1, 1, 0]),
        ("intersection", [1, 0, 0, 0, 0, 0, 0, 0]),
        ("majority", [1, 1, 1, 0, 1, 0, 0, 0]),
        ("difference", [0, 0, 0, 1, 0, 0, 0, 0]),
    ],
)
def test_by_hand(rule: str, expected: list[int]) -> None:
    result = merged([{"w": bits} for bits in BITS], rule)["w"]
    assert result.dtype == torch.bool
    assert result.int().tolist() == expected
    two = merged([{"w": bits} for bits in BITS[:2]], "majority")["w"]
    assert torch.equal(two, BITS[0] & BITS[1])  # one of two is no majority


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5))
def test_algebra(rows: list[list[bool]]) -> None:
    masks: list[Masks] = [{"w": torch.tensor(row).reshape(2, 3)} for row in rows]
    union, intersection, majority, difference = (merged(masks, rule)["w"] for rule in MERGES)
    assert bool((intersection <= majority).all())
    assert bool((majority <= union).all())
    assert bool((difference <= masks[0]["w"]).all())
    opposite = merged([complement(each) for each in masks], "intersection")["w"]
    assert torch.equal(opposite, complement({"w": union})["w"])
    if len(masks) == 1:
        assert all(torch.equal(each, masks[0]["w"]) for each in (union, intersection, majority, difference))


def test_a_parameter_without_a_mask_is_dense_and_results_are_fresh() -> None:
    one, other = {"a": BITS[0]}, {"b": BITS[1]}
    assert {name: bool(mask.all()) for name, mask in merged([one, other], "union").items()} == {"a": True, "b": True}
    both = merged([one, other], "intersection")
    assert torch.equal(both["a"], BITS[0])
    both["a"].fill_(True)
    assert int(BITS[0].sum()) == 4


def test_what_cannot_be_merged_is_named() -> None:
    with pytest.raises(ValueError, match="unknown merge 'unoin'. Did you mean 'union'"):
        merged([{"w": BITS[0]}], "unoin")
    with pytest.raises(ValueError, match="no masks to merge"):
        merged([], "union")
    with pytest.raises(ValueError, match=r"'w' has shape \(8,\) in one mask and \(2,\) in another"):
        merged([{"w": BITS[0]}, {"w": BITS[0][:2]}], "union")
