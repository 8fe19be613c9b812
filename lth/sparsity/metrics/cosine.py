"""How alike two networks' weights point: the cosine of the angle between them."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Products:
    """The inner products of two vectors with each other and with themselves: what adds up over tensors."""

    both: float
    first: float
    second: float

    @property
    def cosine(self) -> float | None:
        """The cosine of the angle between them, in [-1, 1]; None where one of them is zero."""
        length = (self.first * self.second) ** 0.5
        return max(-1.0, min(1.0, self.both / length)) if length else None


def products(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Products:
    """Return the inner products of two tensors of one shape, in float64.

    Args:
        first, second: (...) floating.
        mask: (...) `torch.bool`: the entries that count; all without it.
    """
    a, b = (each.detach().cpu().reshape(-1).to(torch.float64) for each in (first, second))
    if mask is not None:
        counted = mask.cpu().reshape(-1)
        a, b = a[counted], b[counted]
    return Products(float(a @ b), float(a @ a), float(b @ b))


def products_in_all(tensors: Iterable[Products]) -> Products:
    """Take several tensors together, as one long vector."""
    tensors = list(tensors)
    return Products(*(sum(getattr(each, name) for each in tensors) for name in ("both", "first", "second")))
