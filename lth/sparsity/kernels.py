"""Compiled loops over large CPU tensors: digit counts and masks, in place, on several threads.

`threshold.py` imports this module only when there is much to count: loading numba takes longer than a small network's
whole selection. Values are compared as integers, each the bits of |x| with the sign of x: the same order as that of the
floats, one integer for both zeros, and nothing that a processor's mode for denormal numbers could change.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numba import int64, uint64
from numpy.typing import NDArray
from torch import Tensor

from lth.sparsity.floats import Format, Values, pieces
from lth.sparsity.numba_cache import cached_njit

SLICE = 1 << 20
"""Values that a thread takes at a time: enough to hide Python's part, few enough to share work out evenly."""

COPIED = 1 << 15
"""The same where values must be copied first, because of their strides or type: less than what makes PyTorch start
threads of its own, and few enough to stay in cache."""

Array = NDArray[Any]


def count_digits(
    tensors: list[Values], form: Format, *, is_magnitude: bool, shift: int, prefix: int | None, threads: int
) -> Tensor:
    """Count how often each 16-bit digit occurs, and as a last entry the number of NaNs.

    Args:
        tensors: (values, mask) pairs on the CPU; only entries where the mask is True count, all of them where it is
            None.
        form: the float type to compare in.
        is_magnitude: whether to count |x| instead of x.
        shift: bits below the digit.
        prefix: the bits above the digit of the values to count; None counts all values, and the NaNs among them.
        threads: most threads to use.
    Returns:
        (2**16 + 1,) int64.
    """
    work = deque(_slices(tensors, form))

    def count() -> Array:
        counts = np.zeros((1 << 16) + 1, np.int64)
        while work:
            try:
                bits, mask = _arrays(work.popleft(), form)
            except IndexError:  # another thread was faster
                break
            if prefix is None:
                counts[-1] += _count_first(bits, mask, is_magnitude, form.without_sign, form.infinity, shift, counts)
            else:
                _count_next(bits, mask, is_magnitude, form.without_sign, shift, prefix, counts)
        return counts

    workers = max(1, min(threads, len(work)))
    if workers == 1:
        return torch.from_numpy(count())
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(count) for _ in range(workers)]
        return torch.from_numpy(sum((job.result() for job in jobs), start=np.zeros((1 << 16) + 1, np.int64)))


def keep_from(
    tensor: Values, form: Format, *, is_magnitude: bool, lowest: int, ties: int, threads: int
) -> tuple[Tensor, int]:
    """Return the mask of values of at least `lowest`, less the first `ties` that equal it; and the ties left."""
    result = torch.empty(tensor[0].shape, dtype=torch.bool)
    slices = list(_slices([tensor], form))
    ends = np.cumsum([values.numel() for values, _ in slices], dtype=np.int64).tolist()
    outputs = [
        result.view(-1)[end - values.numel() : end].numpy() for (values, _), end in zip(slices, ends, strict=True)
    ]

    def keep(index: int) -> int:
        bits, mask = _arrays(slices[index], form)
        return int(_keep_from(bits, mask, is_magnitude, form.without_sign, lowest, outputs[index]))

    workers = max(1, min(threads, len(slices)))
    if workers == 1:
        equal = [keep(index) for index in range(len(slices))]
    else:
        with ThreadPoolExecutor(workers) as pool:
            equal = list(pool.map(keep, range(len(slices))))
    for index, num_equal in enumerate(equal):
        dropped = min(ties, num_equal)
        if dropped:
            bits, _ = _arrays(slices[index], form)
            _drop_first(bits, is_magnitude, form.without_sign, lowest, dropped, outputs[index])
            ties -= dropped
    return result, ties


def _slices(tensors: list[Values], form: Format) -> Iterator[Values]:
    for values, mask in tensors:
        in_place = values.dtype == form.dtype and values.is_contiguous() and (mask is None or mask.is_contiguous())
        yield from pieces(values, mask, SLICE if in_place else COPIED)


def _arrays(piece: Values, form: Format) -> tuple[Array, Array | None]:
    """Return views of a piece's bits and mask; copies where strides or types differ."""
    values, mask = piece
    bits = values.to(form.dtype).contiguous().view(-1).view(form.integer)
    return bits.numpy(), None if mask is None else mask.contiguous().view(-1).numpy()


@cached_njit
def _ordered(bits: int, is_magnitude: bool, without_sign: int) -> int:
    magnitude = bits & without_sign
    return magnitude if is_magnitude or bits >= 0 else -magnitude


@cached_njit
def _count_first(
    bits: Array, mask: Array | None, is_magnitude: bool, without_sign: int, infinity: int, shift: int, counts: Array
) -> int:
    nans = 0
    half = 1 << 15
    for i in range(bits.size):
        value = int64(bits[i])
        is_nan = (value & without_sign) > infinity
        # An unsigned index spares the test for a negative one.
        digit = uint64((_ordered(value, is_magnitude, without_sign) >> shift) + half)
        if mask is None:
            counts[digit] += 1
            nans += is_nan
        else:  # added without a branch, which scattered masks would make the processor guess wrongly
            counts[digit] += int64(mask[i])
            nans += is_nan & mask[i]
    return nans


@cached_njit
def _count_next(
    bits: Array, mask: Array | None, is_magnitude: bool, without_sign: int, shift: int, prefix: int, counts: Array
) -> None:
    for i in range(bits.size):
        integer = _ordered(int64(bits[i]), is_magnitude, without_sign)
        if integer >> (shift + 16) == prefix and (mask is None or mask[i]):
            counts[uint64((integer >> shift) & 0xFFFF)] += 1


@cached_njit
def _keep_from(
    bits: Array, mask: Array | None, is_magnitude: bool, without_sign: int, lowest: int, output: Array
) -> int:
    equal = 0
    for i in range(bits.size):
        integer = _ordered(int64(bits[i]), is_magnitude, without_sign)
        if mask is None:
            output[i] = integer >= lowest
            equal += integer == lowest
        else:
            output[i] = (integer >= lowest) & mask[i]
            equal += (integer == lowest) & mask[i]
    return equal


@cached_njit
def _drop_first(bits: Array, is_magnitude: bool, without_sign: int, lowest: int, ties: int, output: Array) -> None:
    for i in range(bits.size):
        if output[i] and _ordered(int64(bits[i]), is_magnitude, without_sign) == lowest:
            output[i] = False
            ties -= 1
            if ties == 0:
                return
