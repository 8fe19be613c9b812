"""Effective and stable rank, against closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lth.sparsity.metrics import Ranks, effective_rank, ranks, singular_values, stable_rank


@pytest.mark.parametrize("size", [1, 2, 7])
def test_an_identity_uses_every_direction(size: int) -> None:
    assert effective_rank(3 * torch.eye(size)) == pytest.approx(size)
    assert stable_rank(3 * torch.eye(size)) == pytest.approx(size)


def test_an_outer_product_uses_one() -> None:
    outer = torch.outer(torch.tensor([1.0, -2.0, 0.5]), torch.tensor([3.0, 0.0, 1.0, 4.0]))
    assert effective_rank(outer) == pytest.approx(1)
    assert stable_rank(outer) == pytest.approx(1)


def test_by_hand() -> None:
    """Singular values 3 and 1: shares 3/4 and 1/4; (9 + 1) / 9."""
    matrix = torch.tensor([[0.0, 3.0, 0.0], [-1.0, 0.0, 0.0]])
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert ranks(matrix) == Ranks(pytest.approx(math.exp(entropy)), pytest.approx(10 / 9))
    assert singular_values(matrix).tolist() == pytest.approx([3, 1])


def test_a_convolution_is_its_flattened_matrix() -> None:
    weight = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert ranks(weight) == ranks(weight.reshape(4, 12))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_does_not_matter(scale: float) -> None:
    weight = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    assert effective_rank(weight * scale) == pytest.approx(effective_rank(weight), rel=1e-5)
    assert stable_rank(weight * scale) == pytest.approx(stable_rank(weight), rel=1e-5)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_stable_rank_and_effective_rank_lie_between_1_and_the_rank(rows: int, columns: int, seed: int) -> None:
    found = ranks(torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)))
    assert 1 - 1e-9 <= found.stable <= min(rows, columns) + 1e-9
    assert 1 - 1e-9 <= found.effective <= min(rows, columns) + 1e-9


def test_zeros_have_rank_0_and_what_has_none_is_named() -> None:
    assert ranks(torch.zeros(3, 4)) == Ranks(0.0, 0.0)
    assert ranks(torch.zeros(0, 4)) == Ranks(0.0, 0.0)
    with pytest.raises(ValueError, match=r"shape \(3,\): a vector has no rank"):
        ranks(torch.ones(3))
    with pytest.raises(ValueError, match="NaN or infinity"):
        effective_rank(torch.tensor([[1.0, math.nan], [0.0, 1.0]]))


def test_half_precision_is_computed_in_double() -> None:
    weight = torch.randn(6, 6, generator=torch.Generator().manual_seed(1)).bfloat16()
    assert ranks(weight) == ranks(weight.double())
