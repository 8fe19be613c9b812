"""Examples by their nonzero inputs: most pixels of most images are zero, and zeros cost nothing."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch

from lth.data.types import Examples as Part
from lth.data.types import Parts
from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.layout import TILE

SLICE = 2048
"""Examples that are looked through at a time."""


class Examples(NamedTuple):
    """Some examples, row by row.

    Attributes:
        starts: (example + 1,) first nonzero input of each example.
        tiles: (example, tile + 1) first nonzero input of each example in each tile of TILE inputs.
        columns: (nonzero,) which input; unsigned.
        values: (nonzero,) its value.
        labels: (example,) int64.
        inputs: number of inputs of one example.
    """

    starts: Array
    tiles: Array
    columns: Array
    values: Array
    labels: Array
    inputs: int

    @property
    def share(self) -> float:
        """Share of inputs that are not zero."""
        return len(self.values) / max(1, (len(self.starts) - 1) * self.inputs)


T = TypeVar("T")


class LastRead(Generic[T]):
    """Reads the parts of a data set by name; the last ones are kept for the next training.

    Args:
        read: a part, and the type of its values -> what is kept of it.
    """

    def __init__(self, read: Callable[[Part, Any], T]) -> None:
        self._read = read
        self._dtype: Any = None
        self._parts: dict[str, Part] = {}
        self._kept: dict[str, T] = {}

    def __call__(self, parts: Parts, dtype: Any) -> dict[str, T]:
        is_kept = self._dtype is dtype and self._parts.keys() == parts.keys()
        if not is_kept or any(self._parts[name] is not parts[name] for name in parts):
            self._kept = {name: self._read(part, dtype) for name, part in parts.items()}
            self._dtype, self._parts = dtype, dict(parts)
        return self._kept


def _read(part: Part, dtype: Any) -> Examples:
    batch = part.take(torch.arange(len(part)), torch.device("cpu"))
    return _examples(batch["x"].numpy(), batch["y"].numpy(), dtype)


def _examples(inputs: Array, labels: Array, dtype: Any) -> Examples:
    rows = inputs.reshape(len(inputs), -1)
    width = rows.shape[1]
    edges = [*range(0, width, TILE), width]
    counts = np.zeros((len(rows), len(edges) - 1), np.int64)
    for first in range(0, len(rows), SLICE):  # a slice at a time: a whole data set would need much memory on the way
        present = rows[first : first + SLICE] != 0  # NaN is not zero
        for tile, (begin, end) in enumerate(pairwise(edges)):
            counts[first : first + SLICE, tile] = present[:, begin:end].sum(1)
    starts = np.concatenate([[0], np.cumsum(counts.sum(1))])
    tiles = starts[:-1, None] + np.concatenate([np.zeros((len(rows), 1), np.int64), np.cumsum(counts, 1)], 1)
    columns = np.empty(starts[-1], np.uint16 if width <= 1 << 16 else np.uint32)
    values = np.empty(starts[-1], dtype)
    for first in range(0, len(rows), SLICE):
        part = rows[first : first + SLICE]
        present = part != 0
        own = slice(starts[first], starts[min(first + SLICE, len(rows))])
        columns[own], values[own] = np.nonzero(present)[1], part[present]
    return Examples(starts, tiles, columns, values, labels.astype(np.int64), width)


examples_of = LastRead(_read)
