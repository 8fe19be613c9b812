"""One perceptron as flat arrays, and its way through compiled code."""

from collections.abc import Sequence

import numpy as np

from lth.sparsity.types import Masks, State
from lth.training.engines.sparse import steps
from lth.training.engines.sparse.arrays import Array, aligned_zeros
from lth.training.engines.sparse.buffers import Buffers
from lth.training.engines.sparse.chain import Layer
from lth.training.engines.sparse.examples import Examples
from lth.training.engines.sparse.flat import FlatValues, lanes_of, without_dropout
from lth.training.engines.sparse.layout import UNITS, Kind, layout_of
from lth.training.engines.sparse.update_rule import UpdateRule


class SparseNetwork(FlatValues):
    """A perceptron in training.

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
        self.layout = layout_of(layers, start, masks, examples.share)
        self.layouts, self.indices = self.layout.layouts, self.layout.indices
        dtype = examples.values.dtype
        super().__init__(self.layout.places, self.layout.size, self.layouts, start, masks, rule, dtype)
        self.batch = batch
        self.layouts_without_dropout = without_dropout(self.layouts)
        lanes = lanes_of(batch)
        self.blocks = (0,) * (lanes // 16)
        self.buffers = self._make_buffers(examples, lanes)

    def train(self, examples: Examples, order: Array, rates: Array, updates: int, loss: int, seed: int) -> Array:
        """Do one step for each learning rate; see `steps.train_steps`."""
        return steps.train_steps(
            self.layouts,
            self.indices,
            self.buffers,
            self.values,
            examples,
            order,
            self.batch,
            rates,
            updates,
            self.rule,
            loss,
            seed,
            self.blocks,
        )

    def evaluate(self, examples: Examples, loss: int, correct: Array) -> float:
        """Return the sum of the losses; see `steps.evaluate`."""
        return steps.evaluate(
            self.layouts_without_dropout,
            self.indices,
            self.buffers,
            self.values.weights,
            examples,
            loss,
            correct,
            self.blocks,
        )

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
