"""Arrays as compiled code takes them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ALIGNMENT = 64
"""Bytes of a cache line: rows that begin on one are read fastest."""


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return zeros that begin on a cache line."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(count + ALIGNMENT, np.uint8)
    offset = -raw.ctypes.data % ALIGNMENT
    aligned: Array = raw[offset : offset + count].view(dtype).reshape(shape)
    return aligned
