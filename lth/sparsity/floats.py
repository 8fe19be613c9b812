"""Floats as integers in the same order, and tensors piece by piece.

The integer of x is the bits of |x| with the sign of x: larger floats have larger integers, and both zeros have 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Values = tuple[Tensor, Tensor | None]
"""Values, and the mask of those that count; None where all do."""


@dataclass(frozen=True, slots=True)
class Format:
    """A float type: the integer type of its size, its bits, and the bits of its infinity (NaNs have larger ones)."""

    dtype: torch.dtype
    integer: torch.dtype
    width: int
    infinity: int

    @property
    def without_sign(self) -> int:
        """The bit mask of everything but the sign."""
        return (1 << (self.width - 1)) - 1


FORMATS = {
    torch.float16: Format(torch.float16, torch.int16, 16, 0x7C00),
    torch.bfloat16: Format(torch.bfloat16, torch.int16, 16, 0x7F80),
    torch.float32: Format(torch.float32, torch.int32, 32, 0x7F80_0000),
    torch.float64: Format(torch.float64, torch.int64, 64, 0x7FF0_0000_0000_0000),
}


def format_of(dtype: torch.dtype) -> Format:
    """Return the format to compare values of a type in: its own, or one that holds them all (integers up to 2**53)."""
    if dtype in FORMATS:
        return FORMATS[dtype]
    return FORMATS[torch.float32 if dtype.is_floating_point else torch.float64]


def ordered(values: Tensor, form: Format) -> Tensor:
    """Return the integers of values, in the same shape."""
    bits = values.to(form.dtype).contiguous().view(form.integer)
    magnitude = bits & form.without_sign
    return torch.where(bits < 0, -magnitude, magnitude)


def from_ordered(integer: int, form: Format) -> float:
    """Return the float of an integer."""
    magnitude = float(torch.tensor([abs(integer)], dtype=form.integer).view(form.dtype))
    return -magnitude if integer < 0 else magnitude


def lowest_integer(threshold: float, form: Format) -> tuple[int, bool]:
    """Return the integer of the smallest float of this format not below the threshold, and whether it equals it."""
    nearest = torch.tensor([threshold], dtype=torch.float64).to(form.dtype)
    integer = int(ordered(nearest, form))
    return integer + int(float(nearest) < threshold), float(nearest) == threshold


def pieces(values: Tensor, mask: Tensor | None, size: int) -> Iterator[Values]:
    """Give views of at most `size` values and their mask, in row-major order, whatever the strides."""
    if values.numel() <= size:
        yield values, mask
    elif values.ndim > 1 and values.is_contiguous() and (mask is None or mask.is_contiguous()):
        yield from pieces(values.view(-1), None if mask is None else mask.view(-1), size)
    elif len(values) == 1:
        yield from pieces(values[0], None if mask is None else mask[0], size)
    else:
        rows = max(1, size // (values.numel() // len(values)))
        for start in range(0, len(values), rows):
            some = slice(start, start + rows)
            yield from pieces(values[some], None if mask is None else mask[some], size)
