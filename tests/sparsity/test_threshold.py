"""The exact k-th smallest, bit for bit."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lth.sparsity import kth_smallest, threshold

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
special = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-140, -(2.0**-140), 6e-8, math.inf, -math.inf, 3.0, 3.0000002])
values = st.lists(special | st.floats(width=16, allow_nan=False), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(values, st.sampled_from(DTYPES), st.data())
def test_equals_torch_kthvalue(numbers: list[float], dtype: torch.dtype, data: st.DataObject) -> None:
    tensor = torch.tensor(numbers, dtype=torch.float64).to(dtype)
    k = data.draw(st.integers(1, len(numbers)))
    found, below = kth_smallest([(tensor, None)], k)
    wanted = tensor.double().kthvalue(k).values + 0.0
    assert torch.tensor(found, dtype=torch.float64).view(torch.int64) == wanted.view(torch.int64)
    assert below == int((tensor < wanted).sum())


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_k_of_many_values_in_pieces(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunk borders and several tensors change nothing, nor do masks and a key."""
    monkeypatch.setattr(threshold, "CHUNK", 7)
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(shape, generator=generator).to(dtype) for shape in ((5, 5), (1,), (0,), (14,), ())]
    masks = [torch.rand(part.shape, generator=generator) < 0.7 for part in parts]
    whole = torch.cat([part[mask] for part, mask in zip(parts, masks, strict=True)]).double().abs()
    for k in range(1, len(whole) + 1):
        found, below = kth_smallest(list(zip(parts, masks, strict=True)), k, torch.abs)
        assert found == float(whole.kthvalue(k).values)
        assert below == int((whole < found).sum())


def test_a_strided_tensor_counts_in_its_own_order() -> None:
    tensor = torch.arange(12.0).reshape(3, 4).t()
    mask = torch.zeros(4, 3, dtype=torch.bool)
    mask[0] = True  # the values 0, 4, 8
    assert [kth_smallest([(tensor, mask)], k)[0] for k in (1, 2, 3)] == [0.0, 4.0, 8.0]


@pytest.mark.parametrize("k", [-1, 0, 4])
def test_k_out_of_range_is_an_error(k: int) -> None:
    with pytest.raises(ValueError, match=f"k is {k}, but there are 3 values"):
        kth_smallest([(torch.ones(5), torch.tensor([True, True, True, False, False]))], k)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_nan_is_an_error_unless_it_is_masked(dtype: torch.dtype, sign: float) -> None:
    tensor = torch.tensor([1.0, math.copysign(math.nan, sign), 2.0]).to(dtype)
    with pytest.raises(ValueError, match="a score is NaN.*diverge"):
        kth_smallest([(tensor, None)], 1)
    assert kth_smallest([(tensor, torch.tensor([True, False, True]))], 2) == (2.0, 1)
