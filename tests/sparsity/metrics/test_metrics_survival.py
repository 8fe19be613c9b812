"""Survival of some weights beside the base rate of all."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lth.sparsity import select
from lth.sparsity.metrics import Survival, largest, same_tenth, survival


def test_by_hand() -> None:
    before = {"w": torch.tensor([True, True, True, True, False, False])}
    after = {"w": torch.tensor([True, True, False, False, False, False])}
    places = {"w": torch.tensor([True, False, True, False, True, False]), "dense": torch.tensor([True, True])}
    assert survival(before, after, places) == {"w": Survival(2, 0.5, 0.5), "dense": Survival(2, 1.0, 1.0)}
    nowhere = {"w": torch.zeros(6, dtype=torch.bool)}
    assert survival(before, after, nowhere) == {"w": Survival(0, None, 0.5)}


def test_the_largest_of_each_tensor() -> None:
    weights = {"a": torch.tensor([[-4.0, 1.0], [2.0, -3.0]]), "b": torch.arange(20.0), "tied": torch.ones(4)}
    places = largest(weights, 0.5)
    assert places["a"].tolist() == [[True, False], [False, True]]
    assert places["tied"].tolist() == [False, False, True, True]
    assert largest(weights)["b"].nonzero().flatten().tolist() == [18, 19]


def test_magnitude_pruning_keeps_the_top_decile_and_random_pruning_knows_none() -> None:
    start = {"w": torch.randn(200, 100, generator=torch.Generator().manual_seed(0))}
    draws = {"w": torch.rand(200, 100, generator=torch.Generator().manual_seed(1))}
    by_size, by_luck = (select(scores, {}, density=0.3, key=torch.abs) for scores in (start, draws))
    assert survival({}, by_size, largest(start))["w"] == Survival(2000, 1.0, 0.3)
    luck = survival({}, by_luck, largest(start))["w"]
    assert (luck.num_places, luck.base_rate) == (2000, 0.3)
    assert luck.rate == pytest.approx(0.3, abs=0.04)


def test_masks_of_two_architectures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'w' has shapes \(2,\), \(3,\) and \(3,\)"):
        survival({"w": torch.ones(2).bool()}, {}, {"w": torch.ones(3).bool()})


def test_the_tenth_of_an_entry_by_magnitude() -> None:
    values = torch.arange(20.0).reshape(4, 5) * -1.0
    places = same_tenth(values, (1, 2))  # magnitude 7: of ranks 6 and 7
    assert places.flatten().nonzero().flatten().tolist() == [6, 7]
    few = torch.tensor([3.0, 1.0, 2.0])  # fewer weights than tenths: an entry stands alone
    assert [same_tenth(few, (index,)).tolist().index(True) for index in range(3)] == [0, 1, 2]
    assert all(int(same_tenth(few, (index,)).sum()) == 1 for index in range(3))


@given(st.integers(1, 60), st.data())
def test_tenths_hold_their_entry_and_part_the_tensor(size: int, data: st.DataObject) -> None:
    values = torch.tensor(data.draw(st.lists(st.sampled_from([0.0, 1.0, -2.0, 3.0]), min_size=size, max_size=size)))
    tenths = [same_tenth(values, (index,)) for index in range(size)]
    assert all(bool(tenth[index]) for index, tenth in enumerate(tenths))
    different = torch.tensor(sorted({tuple(tenth.tolist()) for tenth in tenths}))
    assert different.sum(0).tolist() == [1] * size
    assert len(different) <= 10
