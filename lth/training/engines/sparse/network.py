"""One network as flat arrays: its values, moments and buffers, and their way from and to tensors by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lth.sparsity.types import Masks, State
from lth.training.engines.sparse.arrays import Array, aligned_zeros
from lth.training.engines.sparse.buffers import Buffers, Values
from lth.training.engines.sparse.examples import Examples
from lth.training.engines.sparse.layout import UNITS, Kind, layout_of
from lth.training.engines.sparse.mlp import Layer
from lth.training.engines.sparse.update_rule import ADAM, ADAMW, UpdateRule
from lth.training.population import Moments

MOST_LANES = 64
"""Examples side by side: eight AVX2 registers hold the sums of a row, four of AVX-512."""


class SparseNetwork:
    """A network in training.

    Args:
        layers: first to last.
        start: its parameters.
        masks: True where a parameter is trained.
        rule: the optimizer; decides which moments there are.
        batch: examples of a step.
        examples: what it trains on.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        start: State,
        masks: Masks,
        rule: UpdateRule,
        batch: int,
        examples: Examples,
    ) -> None:
        dtype = examples.values.dtype
        self._start = start
        self.layout = layout_of(layers, start, masks, examples.share)
        self.layouts, self.indices = self.layout.layouts, self.layout.indices
        self.layouts_without_dropout = self.layouts.copy()
        self.layouts_without_dropout["dropout"] = 0
        lanes = _lanes(batch)
        self.blocks = (0,) * (lanes // 16)
        size = self.layout.size
        is_adam = rule.kind in (ADAM, ADAMW)
        self.moments = ("exp_avg", "exp_avg_sq") if is_adam else ("momentum_buffer",) if rule.momentum else ()
        self.values = Values(
            weights=self.gather(start, dtype),
            gradients=aligned_zeros((size,), dtype),
            first=aligned_zeros((size if self.moments else 0,), dtype),
            second=aligned_zeros((size if is_adam else 0,), dtype),
            trained=self.gather(masks, dtype, 1.0) if self.layouts["is_masked"].any() else aligned_zeros((0,), dtype),
        )
        self.buffers = self._make_buffers(examples, lanes)

    def _make_buffers(self, examples: Examples, lanes: int) -> Buffers:
        """Make the memory of a batch; columns of a sparse first layer become rows of it."""
        dtype, live = examples.values.dtype, self.layout.live_inputs
        rows = np.where(live, np.cumsum(live) - 1, live.sum()).astype(np.uint32)
        if self.layouts[0]["kind"] == Kind.SPARSE:
            own = self.indices.columns[: self._columns_of_first()]
            own[:] = rows[own]
            num_rows = int(live.sum()) + 1
        else:
            rows, num_rows = np.arange(len(live), dtype=np.uint32), len(live) + 1
        takes_inputs = self.layouts[0]["kind"] == Kind.INPUTS
        most = int(np.diff(examples.starts).max(initial=0)) * lanes
        return Buffers(
            inputs=aligned_zeros((1 if takes_inputs else num_rows, lanes), dtype),
            units=aligned_zeros((self.layout.units, lanes), dtype),
            gradients=aligned_zeros((self.layout.units, lanes), dtype),
            input_row=rows,
            wide=aligned_zeros((lanes, UNITS), dtype),
            batch_starts=np.zeros(len(live) + 1, np.int64),
            batch_rows=np.zeros(most if takes_inputs else 0, np.uint32),
            batch_values=np.zeros(most if takes_inputs else 0, dtype),
        )

    def _columns_of_first(self) -> int:
        return int(self.layouts[1]["columns"]) if len(self.layouts) > 1 else len(self.indices.columns)

    @property
    def num_bytes(self) -> int:
        """Memory of the network itself: values, moments, gradients and indices; without the buffers of a batch."""
        return sum(array.nbytes for array in (*self.values, *self.indices))

    def gather(self, tensors: Mapping[str, Tensor], dtype: Any, missing: float = 0.0) -> Array:
        """Return the values of tensors by parameter name, in the network's order, (value,)."""
        flat = aligned_zeros((self.layout.size,), dtype)
        for name, (first, order) in self.layout.places.items():
            part = flat[first : first + len(order)]
            if name not in tensors:
                part[:] = missing
            else:
                part[order >= 0] = tensors[name].detach().reshape(-1).numpy()[order[order >= 0]]
        return flat

    def scatter(self, flat: Array, base: State) -> State:
        """Return copies of the tensors by parameter name, with the network's values put where they belong."""
        tensors = {}
        for name, (first, order) in self.layout.places.items():
            dtype = torch.float64 if flat.dtype == np.float64 else torch.float32
            tensors[name] = base[name].detach().to(dtype, copy=True).contiguous()
            tensors[name].view(-1).numpy()[order[order >= 0]] = flat[first : first + len(order)][order >= 0]
        return tensors

    def weights(self, flat: Array | None = None) -> State:
        """Return the parameters, pruned entries at their start values."""
        return self.scatter(self.values.weights if flat is None else flat, self._start)

    def moments_by_name(self) -> Moments:
        """Return the optimizer's moments by entry, zero where a weight is pruned."""
        zeros = {name: torch.zeros_like(self._start[name]) for name in self.layout.places}
        arrays = dict(zip(self.moments, (self.values.first, self.values.second), strict=False))
        return {entry: self.scatter(array, zeros) for entry, array in arrays.items()}

    def set_moments(self, moments: Moments) -> None:
        """Put moments by entry in place of the present ones."""
        for entry, array in zip(self.moments, (self.values.first, self.values.second), strict=False):
            array[:] = self.gather(moments[entry], array.dtype)


def _lanes(batch: int) -> int:
    """Return how many examples lie side by side: the fewest lanes, in the fewest parts of a batch."""
    parts = -(-batch // MOST_LANES)
    return -(-batch // (16 * parts)) * 16
