"""A network's values and moments as flat arrays, and their way from and to tensors by name."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lth.sparsity.types import Masks, State
from lth.training.engines.sparse.arrays import Array, aligned_zeros
from lth.training.engines.sparse.buffers import Values
from lth.training.engines.sparse.update_rule import ADAM, ADAMW, UpdateRule
from lth.training.population import Moments

MOST_LANES = 64
"""Examples side by side: eight AVX2 registers hold the sums of a row, four of AVX-512."""


class FlatValues:
    """The values of a network in training.

    Args:
        places: by parameter name, the first of its values and, for each, its index in the flattened parameter: -1 for
            padding.
        size: number of values.
        moved: (layer,) of LAYOUT, all that the optimizer moves.
        start: the parameters.
        masks: True where a parameter is trained.
        rule: the optimizer; decides which moments there are.
        dtype: of the values.
    """

    def __init__(
        self,
        places: dict[str, tuple[int, Array]],
        size: int,
        moved: Array,
        start: State,
        masks: Masks,
        rule: UpdateRule,
        dtype: Any,
    ) -> None:
        self.places, self.size, self.rule, self._start = places, size, rule, start
        is_adam = rule.kind in (ADAM, ADAMW)
        self.moments = ("exp_avg", "exp_avg_sq") if is_adam else ("momentum_buffer",) if rule.momentum else ()
        self.values = Values(
            weights=self.gather(start, dtype),
            gradients=aligned_zeros((size,), dtype),
            first=aligned_zeros((size if self.moments else 0,), dtype),
            second=aligned_zeros((size if is_adam else 0,), dtype),
            trained=self.gather(masks, dtype, 1.0) if moved["is_masked"].any() else aligned_zeros((0,), dtype),
        )

    def gather(self, tensors: Mapping[str, Tensor], dtype: Any, missing: float = 0.0) -> Array:
        """Return the values of tensors by parameter name, in the network's order, (value,)."""
        flat = aligned_zeros((self.size,), dtype)
        for name, (first, order) in self.places.items():
            part = flat[first : first + len(order)]
            if name not in tensors:
                part[:] = missing
            else:
                part[order >= 0] = tensors[name].detach().reshape(-1).numpy()[order[order >= 0]]
        return flat

    def scatter(self, flat: Array, base: State) -> State:
        """Return copies of the tensors by parameter name, with the network's values put where they belong."""
        tensors = {}
        for name, (first, order) in self.places.items():
            dtype = torch.float64 if flat.dtype == np.float64 else torch.float32
            tensors[name] = base[name].detach().to(dtype, copy=True).contiguous()
            tensors[name].view(-1).numpy()[order[order >= 0]] = flat[first : first + len(order)][order >= 0]
        return tensors

    def weights(self, flat: Array | None = None) -> State:
        """Return the parameters, pruned entries at their start values."""
        return self.scatter(self.values.weights if flat is None else flat, self._start)

    def moments_by_name(self) -> Moments:
        """Return the optimizer's moments by entry, zero where a weight is pruned."""
        zeros = {name: torch.zeros_like(self._start[name]) for name in self.places}
        arrays = dict(zip(self.moments, (self.values.first, self.values.second), strict=False))
        return {entry: self.scatter(array, zeros) for entry, array in arrays.items()}

    def set_moments(self, moments: Moments) -> None:
        """Put moments by entry in place of the present ones."""
        for entry, array in zip(self.moments, (self.values.first, self.values.second), strict=False):
            array[:] = self.gather(moments[entry], array.dtype)


def lanes_of(batch: int) -> int:
    """Return how many examples lie side by side: the fewest lanes, in the fewest parts of a batch."""
    parts = -(-batch // MOST_LANES)
    return -(-batch // (16 * parts)) * 16


def without_dropout(layouts: Array) -> Array:
    """Return the same layers, which drop nothing."""
    kept = layouts.copy()
    kept["dropout"] = 0
    return kept
