"""Equal scores at the cut: counted, and units that only the order of indices took are named."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from lth.sparsity import Tie, global_scope, layerwise, select, ties, units_lost_by_ties


def test_by_hand() -> None:
    scores = {"w": torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 2.0]])}
    masks = select(scores, {}, density=5 / 9)
    assert masks["w"].tolist() == [[False] * 3, [False, True, True], [True] * 3]
    assert ties(scores, {}, masks) == [Tie("w", equal=7, removed=4)]
    assert units_lost_by_ties(scores, {}, masks) == {"w": (1, 0)}
    columns = select({"w": scores["w"].T.contiguous()}, {}, density=2 / 9)
    assert ties(scores, {}, {"w": columns["w"].T}) == []  # all seven zeros went: no one was preferred


def test_no_ties_no_words() -> None:
    scores = {"w": torch.arange(12.0).reshape(3, 4)}
    masks = select(scores, {}, density=0.5)
    assert ties(scores, {}, masks) == []
    assert units_lost_by_ties(scores, {}, masks) == {}
    assert ties(scores, masks, masks) == []


def test_a_group_is_cut_at_one_score_over_all_its_tensors() -> None:
    scores = {"a": torch.zeros(2, 3), "b": torch.zeros(2, 3), "c": torch.ones(2, 3)}
    masks = select(scores, {}, density=2 / 3, scope=global_scope)
    assert [int(mask.sum()) for mask in masks.values()] == [0, 6, 6]
    assert ties(scores, {}, masks) == []  # each tensor by itself: nothing was told apart
    assert ties(scores, {}, masks, [("a", "b", "c")]) == [Tie("a", 6, 6), Tie("b", 6, 0)]
    assert units_lost_by_ties(scores, {}, masks, [("a", "b", "c")]) == {"a": (2, 3)}


def test_what_was_pruned_before_is_not_counted() -> None:
    scores = {"w": torch.zeros(1, 8)}
    before = {"w": torch.arange(8).reshape(1, 8) >= 4}
    masks = select(scores, before, density=0.25)
    assert ties(scores, before, masks) == [Tie("w", equal=4, removed=2)]
    assert units_lost_by_ties(scores, before, masks) == {"w": (0, 2)}


@given(st.integers(0, 2**31 - 1), st.floats(0, 1))
def test_another_order_of_equals_changes_masks_exactly_where_there_are_ties(seed: int, density: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = {name: torch.randint(0, 4, (3, 5), generator=generator).float() for name in ("a", "b")}
    masks = select(scores, {}, density=density, scope=layerwise)
    turned = select({name: score.flip(0, 1) for name, score in scores.items()}, {}, density=density, scope=layerwise)
    named = {tie.name for tie in ties(scores, {}, masks)}
    for name, mask in masks.items():
        if name not in named:
            assert torch.equal(mask, turned[name].flip(0, 1))
        else:
            (tie,) = (tie for tie in ties(scores, {}, masks) if tie.name == name)
            assert 0 < tie.removed < tie.equal
