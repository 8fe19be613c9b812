"""Survival by initial magnitude."""

import pytest
import torch

from lth.sparsity import select
from lth.sparsity.metrics import MagnitudeBin, survival_by_magnitude


def test_by_hand() -> None:
    initial = {"a": torch.tensor([[-4.0, 1.0], [2.0, -3.0]]), "b": torch.tensor([0.5])}
    masks = {"a": torch.tensor([[True, False], [True, False]]), "b": torch.tensor([False])}
    assert survival_by_magnitude(initial, masks, num_bins=2) == [
        MagnitudeBin(0.5, 2.0, 3, pytest.approx(1 / 3)),
        MagnitudeBin(3.0, 4.0, 2, 0.5),
    ]


def test_magnitude_pruning_at_step_0_keeps_the_top_bins_and_random_pruning_knows_none() -> None:
    initial = {"w": torch.randn(200, 100, generator=torch.Generator().manual_seed(0))}
    by_size = survival_by_magnitude(initial, select(initial, {}, sparsity=0.7, key=torch.abs))
    assert [each.survived for each in by_size] == [0] * 7 + [1] * 3
    draws = {"w": torch.rand(200, 100, generator=torch.Generator().manual_seed(1))}
    by_luck = survival_by_magnitude(initial, select(draws, {}, sparsity=0.7))
    assert [each.survived for each in by_luck] == pytest.approx([0.3] * 10, abs=0.04)
    assert sum(each.num_weights * each.survived for each in by_luck) == pytest.approx(6000)


def test_bins_and_shapes_must_fit() -> None:
    masks = {"w": torch.ones(3, dtype=torch.bool)}
    with pytest.raises(ValueError, match="4 bins for 3 weights"):
        survival_by_magnitude({"w": torch.ones(3)}, masks, num_bins=4)
    with pytest.raises(ValueError, match=r"'w' has shape \(3,\), its initial weights: \(2,\)"):
        survival_by_magnitude({"w": torch.ones(2)}, masks)
