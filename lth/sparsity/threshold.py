"""The exact k-th smallest of very many floats, without a sort and without a copy of them all."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

CHUNK = 1 << 20
"""Floats counted together: temporaries stay at a few megabytes however many floats there are."""

PIECE = 1 << 15
"""Floats transformed together: few enough to stay in cache, and below the size from which PyTorch starts threads, whose
meetings after each of thousands of short operations cost far more than they save where cores are shared."""

DIGIT = 16
"""Bits settled by one pass over the data."""

Key = Callable[[Tensor], Tensor]


def kth_smallest(tensors: Iterable[tuple[Tensor, Tensor | None]], k: int, key: Key | None = None) -> tuple[float, int]:
    """The k-th smallest value (k counts from 1) and how many values are strictly smaller.

    The bits of a float, with the sign folded in, are an integer in the same order. A histogram of its top 16 bits
    finds the bin that holds the answer; a second pass looks at that bin's lower 16 bits (float64 takes four passes in
    all).

    Args:
        tensors: (values, mask) pairs; only entries where the mask is True count, all of them where it is None.
        k: between 1 and the number of entries that count.
        key: elementwise function applied chunk by chunk before the comparison (`torch.abs` ranks by magnitude).
    Raises:
        ValueError: if a value is NaN, or k is out of range.
    """
    tensors = list(tensors)
    width = 64 if any(values.dtype == torch.float64 for values, _ in tensors) else 32
    prefix, below = 0, 0
    for shift in range(width - DIGIT, -1, -DIGIT):
        is_first = shift == width - DIGIT
        counts = torch.zeros(1 << DIGIT, dtype=torch.int64)
        for integers in _ordered_integers(tensors, width, key):
            if not is_first:
                integers = integers[(integers >> (shift + DIGIT)) == prefix]
            digits = (integers >> shift) & 0xFFFF
            # The sign makes the top digit run from -32768: shift it into the range of the histogram.
            counts += torch.bincount(digits ^ 0x8000 if is_first else digits, minlength=1 << DIGIT).cpu()
        cumulative = counts.cumsum(0)
        if not 1 <= k - below <= int(cumulative[-1]):
            raise ValueError(f"k is {k}, but there are {int(cumulative[-1])} values to choose from")
        digit = int(torch.searchsorted(cumulative, k - below))
        below += int(cumulative[digit] - counts[digit])
        prefix = digit - 0x8000 if is_first else (prefix << DIGIT) | digit
    return _from_ordered_integer(prefix, width), below


def _ordered_integers(tensors: list[tuple[Tensor, Tensor | None]], width: int, key: Key | None) -> Iterator[Tensor]:
    """The values that count, as integers in the same order, chunk by chunk."""
    for values, mask in tensors:
        flat = values.detach().reshape(-1)
        keep = None if mask is None or bool(mask.all()) else mask.reshape(-1)
        for start in range(0, flat.numel(), CHUNK):
            chunk = flat[start : start + CHUNK]
            if keep is not None:
                chunk = chunk[keep[start : start + CHUNK]]
            if chunk.numel():
                yield torch.cat(
                    [_ordered(piece if key is None else key(piece), width) for piece in torch.split(chunk, PIECE)]
                )


def _ordered(values: Tensor, width: int) -> Tensor:
    """The bits of floats as integers in the same order; zeros of both signs are one."""
    float_type, integer_type = (torch.float64, torch.int64) if width == 64 else (torch.float32, torch.int32)
    values = values.to(float_type)
    lowest, highest = values.aminmax()
    if bool(highest.isnan()):
        raise ValueError("a score is NaN: weights cannot be ranked (did the training diverge?)")
    without_sign = 2 ** (width - 1) - 1
    bits: Tensor
    if bool(lowest >= 0):
        bits = values.view(integer_type) & without_sign  # clears the sign of -0.0
    else:
        bits = (values + 0.0).view(integer_type)  # the sum makes -0.0 0.0
        bits = bits ^ ((bits >> (width - 1)) & without_sign)
    return bits


def _from_ordered_integer(integer: int, width: int) -> float:
    """The float that `_ordered_integers` maps to this integer."""
    float_type, integer_type = (torch.float64, torch.int64) if width == 64 else (torch.float32, torch.int32)
    bits = torch.tensor([integer if integer >= 0 else integer ^ (2 ** (width - 1) - 1)], dtype=integer_type)
    return float(bits.view(float_type))
