"""The exact k-th smallest of very many floats, without a sort and without a copy of them all; and the cut there."""

import sys
from collections.abc import Callable, Iterable
from functools import reduce

import torch
from torch import Tensor

from lth.sparsity.floats import FORMATS, Format, Values, format_of, from_ordered, lowest_integer, ordered, pieces

COMPILED_FROM = 1 << 24
"""Values from which compiled loops are worth loading: once in a process that takes half a second and 100 MB."""

CHUNK = 1 << 20
"""Floats counted together by torch: temporaries stay at a few megabytes however many floats there are."""

PIECE = 1 << 15
"""Floats transformed together on a CPU: few enough to stay in cache, and below the size from which PyTorch starts
threads, whose meetings after each of thousands of short operations cost far more than they save where cores are
shared."""

DIGIT = 16
"""Bits settled by one pass over the data. The leading 16 of real weights fall into some thousand bins only, which stay
in the fastest cache; so two passes over float32 beat three of fewer bits."""

Key = Callable[[Tensor], Tensor]


def kth_smallest(tensors: Iterable[tuple[Tensor, Tensor | None]], k: int, key: Key | None = None) -> tuple[float, int]:
    """Return the k-th smallest value (k counts from 1) and how many values are strictly smaller.

    The bits of a float, with the sign folded in, are an integer in the same order. A histogram of its top 16 bits
    finds the bin that holds the answer; a second pass looks at that bin's lower 16 bits. (float64 takes four passes,
    16-bit types one.) Large CPU tensors are counted by compiled loops, on at most `torch.get_num_threads()` threads,
    if `key` is None or `torch.abs`; the answer is the same bit for bit.

    Args:
        tensors: (values, mask) pairs; only entries where the mask is True count, all of them where it is None.
        k: between 1 and the number of entries that count.
        key: elementwise function applied chunk by chunk before the comparison (`torch.abs` ranks by magnitude).
    Raises:
        ValueError: if a value is NaN, k is out of range, or a mask has another shape than its values.

    Example:
        >>> kth_smallest([(torch.tensor([3.0, -1.0, 2.0, 1.0]), None)], k=2, key=torch.abs)
        (1.0, 0)
    """
    counted = [_checked(values, mask) for values, mask in tensors]
    form = _common_format([values for values, _ in counted], key)
    prefix, below = 0, 0
    for shift in range(form.width - DIGIT, -1, -DIGIT):
        is_first = shift == form.width - DIGIT
        counts = _count_digits(counted, form, key, shift, None if is_first else prefix)
        if counts[-1]:
            raise ValueError("a score is NaN: weights cannot be ranked (did the training diverge?)")
        cumulative = counts[:-1].cumsum(0)
        if not 1 <= k - below <= int(cumulative[-1]):
            raise ValueError(f"k is {k}, but there are {int(cumulative[-1])} values to choose from")
        digit = int(torch.searchsorted(cumulative, k - below))
        below += int(cumulative[digit] - counts[digit])
        # The sign makes the top digit run from -32768: the histogram begins there.
        prefix = digit - (1 << (DIGIT - 1)) if is_first else (prefix << DIGIT) | digit
    return from_ordered(prefix, form), below


def survivors(
    values: Tensor, mask: Tensor | None, threshold: float, ties: int, key: Key | None = None
) -> tuple[Tensor, int]:
    """Return the mask without values below the threshold and the first `ties` equal ones; and the ties still to remove.

    Large CPU tensors are cut by compiled loops, as in `kth_smallest`; nothing of the size of `values` is made but the
    result. Comparisons are exact where the threshold comes from a finer type than `values`.

    Args:
        values: any shape; not NaN where the mask keeps.
        mask: `torch.bool` of the same shape, True keeps; None keeps all.
        threshold: as found by `kth_smallest`.
        ties: how many equal values to remove, those that come first in row-major order.
        key: elementwise function applied before the comparison.
    Returns:
        A fresh contiguous `torch.bool` mask on the device of the values, and `ties` less those removed here.
    """
    values, mask = _checked(values, mask)
    form = format_of(_key_dtype(values, key))
    lowest, is_exact = lowest_integer(threshold, form)
    here = ties if is_exact else 0
    if _is_compiled([(values, mask)], key):
        from lth.sparsity import kernels

        result, left = kernels.keep_from(
            (values, mask),
            form,
            is_magnitude=key is torch.abs,
            lowest=lowest,
            ties=here,
            threads=torch.get_num_threads(),
        )
        return result, ties - here + left
    result = torch.empty(values.shape, dtype=torch.bool, device=values.device)
    end, left = 0, here
    for chunk, keep in pieces(values, mask, CHUNK):
        integers = _keyed(chunk.reshape(-1), form, key)
        survives, equal = integers >= lowest, integers == lowest
        if keep is not None:
            survives, equal = survives & keep.reshape(-1), equal & keep.reshape(-1)
        if left:
            survives &= ~(equal & (equal.cumsum(0) <= left))
            left = max(0, left - int(equal.sum()))
        result.view(-1)[end : end + chunk.numel()] = survives
        end += chunk.numel()
    return result, ties - here + left


def _count_digits(tensors: list[Values], form: Format, key: Key | None, shift: int, prefix: int | None) -> Tensor:
    """Count each digit in values with this prefix (None: in all), and as a last entry the NaNs."""
    if _is_compiled(tensors, key):
        from lth.sparsity import kernels

        return kernels.count_digits(
            tensors,
            form,
            is_magnitude=key is torch.abs,
            shift=shift,
            prefix=prefix,
            threads=torch.get_num_threads(),
        )
    counts = torch.zeros((1 << DIGIT) + 1, dtype=torch.int64)
    for values, mask in tensors:
        for chunk, keep in pieces(values, mask, CHUNK):
            integers = _keyed(chunk.reshape(-1) if keep is None else chunk[keep], form, key)
            if prefix is None:
                counts[-1] += (integers.abs() > form.infinity).sum().cpu()
                digits = (integers >> shift).int() + (1 << (DIGIT - 1))
            else:
                integers = integers[integers >> (shift + DIGIT) == prefix]
                digits = (integers >> shift) & 0xFFFF
            counts[:-1] += torch.bincount(digits, minlength=1 << DIGIT).cpu()
    return counts


def _keyed(values: Tensor, form: Format, key: Key | None) -> Tensor:
    """Return the integers of one chunk's values."""
    parts = torch.split(values, PIECE if values.is_cpu else CHUNK)
    return torch.cat([ordered(part if key is None else key(part), form) for part in parts])


def _is_compiled(tensors: list[Values], key: Key | None) -> bool:
    """Return whether compiled loops can count these tensors, and are worth their loading."""
    total = sum(values.numel() for values, _ in tensors)
    is_loaded = "lth.sparsity.kernels" in sys.modules
    return (
        (key is None or key is torch.abs)
        and all(values.is_cpu and (mask is None or mask.is_cpu) for values, mask in tensors)
        and total >= (COMPILED_FROM >> 6 if is_loaded else COMPILED_FROM)
    )


def _common_format(tensors: list[Tensor], key: Key | None) -> Format:
    """Return the coarsest format that holds the values of all tensors."""
    dtypes = [format_of(_key_dtype(values, key)).dtype for values in tensors]
    return FORMATS[reduce(torch.promote_types, dtypes)] if dtypes else FORMATS[torch.float32]


def _key_dtype(values: Tensor, key: Key | None) -> torch.dtype:
    return values.dtype if key is None else key(values.new_empty(0)).dtype


def _checked(values: Tensor, mask: Tensor | None) -> Values:
    """Return values, without history and lazy signs, and their mask, which must have their shape."""
    if mask is not None and mask.shape != values.shape:
        raise ValueError(f"a mask has shape {tuple(mask.shape)}, its values {tuple(values.shape)}: they must agree")
    return values.detach().resolve_neg(), mask
