"""Cosines against torch's, and where there is none."""

import pytest
import torch

from lth.sparsity.metrics import products, products_in_all


def test_cosines_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = [(torch.randn(3, 4, generator=generator), torch.randn(3, 4, generator=generator)) for _ in range(2)]
    mask = torch.rand(3, 4, generator=generator) > 0.4
    for one, other in tensors:
        wanted = torch.cosine_similarity(one.reshape(1, -1).double(), other.reshape(1, -1).double()).item()
        assert products(one, other).cosine == pytest.approx(wanted)
        wanted = torch.cosine_similarity(one[mask].double(), other[mask].double(), dim=0).item()
        assert products(one, other, mask).cosine == pytest.approx(wanted)
    long = [torch.cat([pair[side].reshape(-1) for pair in tensors]).double() for side in range(2)]
    together = products_in_all(products(*pair) for pair in tensors)
    assert together.cosine == pytest.approx(torch.cosine_similarity(*long, dim=0).item())


def test_zero_has_no_direction_and_equals_have_one() -> None:
    value = torch.tensor([1e-20, 3e-20])
    assert products(value, torch.zeros(2)).cosine is None
    assert products(value, value, torch.zeros(2, dtype=torch.bool)).cosine is None
    assert products(value, 7 * value).cosine == pytest.approx(1.0)
    assert products(value, -value).cosine == pytest.approx(-1.0)
