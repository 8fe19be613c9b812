"""The exact k-th smallest, bit for bit, and the cut there: by torch and by compiled loops."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lth.sparsity import kth_smallest, threshold
from lth.sparsity.threshold import survivors

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
special = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 2.0**-140, -(2.0**-140), 5e-324, -5e-324, 6e-8, math.inf, -math.inf, 3.0, 3.0000002]
)
values = st.lists(special | st.floats(width=16, allow_nan=False), min_size=1, max_size=40)
keys = st.sampled_from([None, torch.abs, torch.neg])
patched = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["torch", "compiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both ways to count, in small pieces; the compiled one on three threads."""
    monkeypatch.setattr(threshold, "COMPILED_FROM", 0 if request.param == "compiled" else 1 << 62)
    monkeypatch.setattr(threshold, "CHUNK", 7)
    if request.param == "compiled":
        monkeypatch.setattr("lth.sparsity.kernels.SLICE", 7)
        monkeypatch.setattr("lth.sparsity.kernels.COPIED", 5)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    yield request.param
    torch.set_num_threads(threads)


def same_bits(found: float, wanted: torch.Tensor) -> bool:
    return bool(torch.tensor(found, dtype=torch.float64).view(torch.int64) == wanted.double().view(torch.int64))


@patched
@given(numbers=values, dtype=st.sampled_from(DTYPES), key=keys, data=st.data())
def test_equals_torch_kthvalue(
    way: str, numbers: list[float], dtype: torch.dtype, key: threshold.Key | None, data: st.DataObject
) -> None:
    tensor = torch.tensor(numbers, dtype=torch.float64).to(dtype)
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(numbers), max_size=len(numbers))))
    mask[data.draw(st.integers(0, len(numbers) - 1))] = True
    for keep in (None, mask):
        counted = tensor if keep is None else tensor[keep]
        counted = (counted if key is None else key(counted)).double()
        k = data.draw(st.integers(1, counted.numel()) | st.sampled_from([1, counted.numel()]))
        found, below = kth_smallest([(tensor, keep)], k, key)
        wanted = counted.kthvalue(k).values
        assert same_bits(found, wanted.where(wanted != 0, 0.0))
        assert below == int((counted < wanted).sum())


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_k_of_many_values_in_pieces(way: str, dtype: torch.dtype) -> None:
    """Borders of pieces and several tensors change nothing, nor do masks and a key."""
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(shape, generator=generator).to(dtype) for shape in ((5, 5), (1,), (0,), (14,), ())]
    masks = [torch.rand(part.shape, generator=generator) < 0.7 for part in parts]
    whole = torch.cat([part[mask] for part, mask in zip(parts, masks, strict=True)]).double().abs()
    for k in range(1, len(whole) + 1):
        found, below = kth_smallest(list(zip(parts, masks, strict=True)), k, torch.abs)
        assert found == float(whole.kthvalue(k).values)
        assert below == int((whole < found).sum())


def test_tensors_of_several_types_are_compared_in_one_that_holds_all(way: str) -> None:
    parts = [torch.tensor([1.0, 2.0]).bfloat16(), torch.tensor([1.0009765625]).half(), torch.tensor([1.0000001])]
    found = [kth_smallest([(part, None) for part in parts], k)[0] for k in (1, 2, 3, 4)]
    assert found == [1.0, 1.00000011920928955078125, 1.0009765625, 2.0]
    assert kth_smallest([(torch.tensor([3, -1, 2**31 + 1]), None)], 3)[0] == 2.0**31 + 1


def test_a_key_may_return_a_finer_type(way: str) -> None:
    tensor = torch.tensor([1.0, 2.0, 3.0])
    assert kth_smallest([(tensor, None)], 1, lambda part: part.double() / 3)[0] == 1 / 3


def test_large_values_of_every_digit(way: str) -> None:
    """Random bits fill all digits of all passes."""
    generator = torch.Generator().manual_seed(1)
    for dtype, integer in ((torch.float64, torch.int64), (torch.float32, torch.int32), (torch.float16, torch.int16)):
        bounds = torch.iinfo(integer)
        bits = torch.randint(bounds.min, bounds.max, (500,), generator=generator, dtype=integer)
        tensor = bits.view(dtype)
        tensor = tensor[~tensor.isnan()]
        for k in (1, 2, 100, 250, len(tensor)):
            assert same_bits(kth_smallest([(tensor, None)], k)[0], tensor.sort().values[k - 1])


def test_a_strided_tensor_counts_in_its_own_order(way: str) -> None:
    tensor = torch.arange(12.0).reshape(3, 4).t()
    mask = torch.zeros(4, 3, dtype=torch.bool)
    mask[0] = True  # the values 0, 4, 8
    assert [kth_smallest([(tensor, mask)], k)[0] for k in (1, 2, 3)] == [0.0, 4.0, 8.0]
    mask = torch.zeros(3, 4, dtype=torch.bool).t()
    mask[1] = True
    assert [kth_smallest([(tensor, mask)], k)[0] for k in (1, 2, 3)] == [1.0, 5.0, 9.0]
    every_third = torch.arange(60.0)[::3]
    assert [kth_smallest([(every_third, None)], k)[0] for k in (1, 12, 20)] == [0.0, 33.0, 57.0]
    negated = torch.tensor([1 + 2j, 3 - 4j]).conj().imag  # a lazy view: its memory holds the opposite signs
    assert [kth_smallest([(negated, None)], k)[0] for k in (1, 2)] == [-2.0, 4.0]
    assert kth_smallest([(negated[:1], None)], 1)[0] == -2.0
    weight = torch.nn.Parameter(torch.tensor([2.0, 1.0]))
    assert kth_smallest([(weight, None)], 1) == (1.0, 0)


@pytest.mark.parametrize("k", [-1, 0, 4])
def test_k_out_of_range_is_an_error(way: str, k: int) -> None:
    with pytest.raises(ValueError, match=f"k is {k}, but there are 3 values"):
        kth_smallest([(torch.ones(5), torch.tensor([True, True, True, False, False]))], k)
    with pytest.raises(ValueError, match="k is 1, but there are 0 values"):
        kth_smallest([], 1)


def test_a_mask_of_another_shape_is_an_error(way: str) -> None:
    with pytest.raises(ValueError, match=r"mask has shape \(4,\), its values \(5,\)"):
        kth_smallest([(torch.ones(5), torch.ones(4, dtype=torch.bool))], 1)
    with pytest.raises(ValueError, match=r"mask has shape \(4,\), its values \(5,\)"):
        survivors(torch.ones(5), torch.ones(4, dtype=torch.bool), 1.0, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("key", [None, torch.abs])
def test_nan_is_an_error_unless_it_is_masked(
    way: str, dtype: torch.dtype, sign: float, key: threshold.Key | None
) -> None:
    tensor = torch.tensor([1.0, math.copysign(math.nan, sign), math.inf]).to(dtype)
    with pytest.raises(ValueError, match=r"a score is NaN.*diverge"):
        kth_smallest([(tensor, None)], 1, key)
    assert kth_smallest([(tensor, torch.tensor([True, False, True]))], 2, key) == (math.inf, 1)


@patched
@given(numbers=values, dtype=st.sampled_from(DTYPES), key=keys, data=st.data())
def test_survivors_are_what_a_plain_loop_keeps(
    way: str, numbers: list[float], dtype: torch.dtype, key: threshold.Key | None, data: st.DataObject
) -> None:
    tensor = torch.tensor(numbers, dtype=torch.float64).to(dtype)
    keep = data.draw(st.none() | st.lists(st.booleans(), min_size=len(numbers), max_size=len(numbers)))
    compared = (tensor if key is None else key(tensor)).double().tolist()
    cut = data.draw(st.sampled_from(compared) | st.floats(allow_nan=False))
    ties = data.draw(st.integers(0, len(numbers) + 1))
    wanted, left = [], ties
    for value, is_kept in zip(compared, keep or [True] * len(compared), strict=True):
        is_removed_tie = is_kept and value == cut and left > 0
        left -= is_removed_tie
        wanted.append(is_kept and value >= cut and not is_removed_tie)
    mask = None if keep is None else torch.tensor(keep)
    found, found_left = survivors(tensor, mask, cut, ties, key)
    assert (found.tolist(), found_left) == (wanted, left)
    assert found.dtype == torch.bool


def test_ties_go_in_row_major_order_whatever_the_strides(way: str) -> None:
    tensor = torch.tensor([[1.0, -1.0, 0.0, 2.0], [1.0, 1.0, 1.0, 0.5], [-1.0, 1.0, 1.0, 1.0]])
    wanted = [[False, False, False, True], [False, False, True, False], [True, True, True, True]]
    for laid_out in (tensor, tensor.t().contiguous().t(), tensor.repeat_interleave(2, dim=1)[:, ::2]):
        found, left = survivors(laid_out, None, 1.0, 4, torch.abs)
        assert found.tolist() == wanted
        assert left == 0
        assert found.is_contiguous()


def test_a_threshold_between_two_values_meets_no_ties(way: str) -> None:
    coarse = torch.tensor([1.0, 1.0078125, -1.0, -1.0078125]).bfloat16()
    for cut, wanted in ((1.001, [0, 1, 0, 0]), (1.007, [0, 1, 0, 0]), (-1.001, [1, 1, 1, 0]), (-1.007, [1, 1, 1, 0])):
        found, left = survivors(coarse, None, cut, 3)
        assert (found.int().tolist(), left) == (wanted, 3)


@patched
@given(st.lists(values, min_size=1, max_size=4), st.data())
def test_threshold_and_survivors_remove_exactly_k(way: str, lists: list[list[float]], data: st.DataObject) -> None:
    """Of tensors of several types, too, where a coarse one cannot hold the threshold."""
    tensors = [torch.tensor(numbers, dtype=torch.float64).to(data.draw(st.sampled_from(DTYPES))) for numbers in lists]
    k = data.draw(st.integers(1, sum(map(len, lists))))
    cut, below = kth_smallest([(tensor, None) for tensor in tensors], k, torch.abs)
    ties, removed = k - below, 0
    for tensor in tensors:
        mask, ties = survivors(tensor, None, cut, ties, torch.abs)
        removed += int((~mask).sum())
    assert (removed, ties) == (k, 0)


def test_both_ways_agree_on_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces of the usual size."""
    generator = torch.Generator().manual_seed(0)
    tensor = torch.randn(1200, 1000, generator=generator)
    mask = torch.rand(tensor.shape, generator=generator) < 0.5
    tensor[::7] = 0.25
    answers = []
    for start in (0, 1 << 62):
        monkeypatch.setattr(threshold, "COMPILED_FROM", start)
        parts = [(tensor, mask), (tensor.t(), None)]
        k = int((tensor[mask].abs() < 0.25).sum()) + int((tensor.abs() < 0.25).sum()) + 100_000
        cut, below = kth_smallest(parts, k, torch.abs)
        first, ties = survivors(*parts[0], cut, k - below, torch.abs)
        second, ties = survivors(*parts[1], cut, ties, torch.abs)
        assert (cut, ties) == (0.25, 0)
        assert int((mask & ~first).sum()) + int((~second).sum()) == k
        answers.append((first, second))
    assert all(torch.equal(a, b) for a, b in zip(*answers, strict=True))


def test_small_tensors_do_not_wait_for_the_compiler_and_large_ones_need_no_cache_folder() -> None:
    code = (
        "import sys, torch\nfrom lth.sparsity import threshold\n"
        "values = torch.arange(1000.0)\n"
        "cut = threshold.kth_smallest([(values, None)], 5)\nthreshold.survivors(values, None, 4.0, 1)\n"
        "assert 'numba' not in sys.modules\n"
        "threshold.COMPILED_FROM = 0\n"
        "assert threshold.kth_smallest([(values, None)], 5) == cut == (4.0, 4)\n"
        "assert 'numba' in sys.modules"
    )
    nowhere = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "NUMBA_CACHE_DIR": "/dev/null/nowhere"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=os.environ | nowhere)
