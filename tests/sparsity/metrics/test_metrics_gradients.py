"""Gradients of pruned weights."""

import math

import pytest
import torch
from torch import nn

from lth.sparsity.metrics import GradientRms, gradient_rms, gradient_rms_by_tensor

MASKS = {"a": torch.tensor([True, False, False]), "b": torch.tensor([True, True])}
GRADIENTS = {"a": torch.tensor([2.0, 3.0, -4.0]), "b": torch.tensor([1.0, -1.0]), "bias": torch.tensor([9.0])}


def test_by_hand() -> None:
    by_tensor = gradient_rms_by_tensor(GRADIENTS, MASKS)
    assert by_tensor["a"] == GradientRms(pruned=pytest.approx(math.sqrt(12.5)), kept=2.0)
    assert by_tensor["b"] == GradientRms(pruned=None, kept=1.0)
    whole = gradient_rms(GRADIENTS, MASKS)
    assert whole == GradientRms(pruned=pytest.approx(math.sqrt(12.5)), kept=pytest.approx(math.sqrt(6 / 3)))


def test_of_a_real_backward_pass() -> None:
    layer = nn.Linear(4, 3, bias=False)
    inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    layer(inputs).square().sum().backward()
    assert layer.weight.grad is not None
    mask = torch.zeros(3, 4, dtype=torch.bool)
    found = gradient_rms({"weight": layer.weight.grad}, {"weight": mask})
    expected = 2 * (inputs.T @ (inputs @ layer.weight.detach().T))
    assert found == GradientRms(pruned=pytest.approx(float(expected.square().mean().sqrt()), rel=1e-5), kept=None)


def test_half_precision_does_not_overflow_and_infinity_stays_where_it_is() -> None:
    gradients = {"w": torch.tensor([300.0, math.inf], dtype=torch.float16)}
    assert gradient_rms(gradients, {"w": torch.tensor([True, False])}) == GradientRms(pruned=math.inf, kept=300.0)


def test_no_masks_no_entries() -> None:
    assert gradient_rms(GRADIENTS, {}) == GradientRms(pruned=None, kept=None)


def test_missing_or_misshapen_gradients_are_named() -> None:
    with pytest.raises(ValueError, match="'b' has a mask, but no gradient. Gradients: a"):
        gradient_rms({"a": GRADIENTS["a"]}, MASKS)
    with pytest.raises(ValueError, match=r"gradient of 'a' has shape \(1,\), its mask \(3,\)"):
        gradient_rms({"a": torch.ones(1), "b": torch.ones(2)}, MASKS)
