"""LAMP and the layer-normalised magnitude: by hand, and what they promise a global scope."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency_nets import double

from lth.sparsity import CRITERIA
from lth.sparsity.evidence import Evidence
from lth.sparsity.select import select
from lth.sparsity.types import Masks, Weights

lamp, normalised = CRITERIA["lamp"], CRITERIA["large_final_layer_normalised"]


def evidence(weights: Weights, masks: Masks | None = None) -> Evidence:
    return Evidence(weights, weights, torch.Generator(), masks or {})


def test_lamp_by_hand() -> None:
    """Squares 9, 1, 4: 9 / 9, 1 / (1 + 4 + 9), 4 / (4 + 9). Without the largest: 1 / (1 + 4) and 4 / 4."""
    weights = {"w": double([3, -1], [2, 0])}
    assert torch.allclose(lamp(evidence(weights))["w"], double([1, 1 / 14], [4 / 13, 0]))
    masks = {"w": torch.tensor([[False, True], [True, True]])}
    assert torch.allclose(lamp(evidence(weights, masks))["w"], double([0, 1 / 5], [1, 0]))


def test_lamp_of_ties_and_of_zeros() -> None:
    """Of equal magnitudes the lower index is lower; a tensor of zeros scores zero."""
    scores = lamp(evidence({"w": torch.tensor([2.0, -2.0, 2.0]), "z": torch.zeros(3)}))
    assert torch.allclose(scores["w"], double(1 / 3, 1 / 2, 1))
    assert scores["z"].tolist() == [0, 0, 0]


@given(seed=st.integers(0, 1000), scale=st.floats(1e-6, 1e6), kept=st.integers(2, 40))
@settings(deadline=None, max_examples=30)
def test_lamp_ranks_a_layer_by_magnitude_and_empties_none(seed: int, scale: float, kept: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = {"a": torch.randn(30, generator=generator), "b": torch.randn(10, generator=generator) * scale}
    scores = lamp(evidence(weights))
    for name, weight in weights.items():
        assert torch.equal(scores[name].argsort(stable=True), weight.abs().argsort(stable=True))
    masks = select(scores, {}, density=kept / 40)
    assert all(bool(mask.any()) for mask in masks.values())
    unscaled = select(lamp(evidence(weights | {"b": weights["b"] / scale})), {}, density=kept / 40)
    assert all(int(mask.sum()) == int(unscaled[name].sum()) for name, mask in masks.items())


def test_normalised_by_hand() -> None:
    """Root mean squares: 5 for (1, 7), 2 for the kept (2, -2)."""
    weights = {"a": double(1, -7), "b": double(2, -2, 8), "z": torch.zeros(2), "gone": torch.ones(1)}
    masks = {"b": torch.tensor([True, True, False]), "gone": torch.tensor([False])}
    scores = normalised(evidence(weights, masks))
    assert torch.allclose(scores["a"], double(0.2, 1.4))
    assert torch.allclose(scores["b"][:2], double(1, 1))
    assert scores["z"].tolist() == [0, 0]
    assert all(bool(score.isfinite().all()) for score in scores.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_normalised_levels_layers(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = {
        "a": torch.randn(400, generator=generator).to(dtype),
        "b": 0.01 * torch.randn(400, generator=generator).to(dtype),
    }
    scores = normalised(evidence(weights))
    assert {score.dtype for score in scores.values()} == {dtype}
    masks = select(scores, {}, density=0.5)
    assert all(170 < int(mask.sum()) < 230 for mask in masks.values())
