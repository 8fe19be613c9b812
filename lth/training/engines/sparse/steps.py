"""Training steps of a multilayer perceptron, compiled: forward, loss, backward, update, with no Python between.

Activations and their gradients lie unit by unit, a row of `lanes` examples each, so that one surviving weight is a few
vector operations on rows. Lanes beyond the batch hold zeros in the gradients.
"""

from typing import Any

import numpy as np

from lth.sparsity.numba_cache import is_cached
from lth.training.engines.sparse.activations import activate, mix, unactivate
from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.buffers import Buffers, Values
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.examples import Examples
from lth.training.engines.sparse.inputs import inputs_gradient, multiply_inputs
from lth.training.engines.sparse.layout import Indices, Kind
from lth.training.engines.sparse.losses import losses_and_gradients
from lth.training.engines.sparse.products import (
    bias_gradient,
    dense_gradient,
    dense_input_gradient,
    multiply_dense,
    multiply_sparse,
    sparse_gradient,
    sparse_input_gradient,
)
from lth.training.engines.sparse.update_rule import UpdateRule
from lth.training.engines.sparse.updates import update

DENSE, INPUTS = int(Kind.DENSE), int(Kind.INPUTS)


@compiled
def train_steps(
    layouts: Array,
    indices: Indices,
    buffers: Buffers,
    values: Values,
    examples: Examples,
    order: Array,
    batch: int,
    rates: Array,
    updates: int,
    rule: UpdateRule,
    loss_kind: int,
    seed: int,
    blocks: tuple[int, ...],
) -> Array:
    """Do one optimizer step for each learning rate; return the mean losses before each, (step,) float64.

    Args:
        order: (step * batch,) examples, batch by batch.
        batch: examples of a batch; any number, taken in parts of as many as there are lanes.
        rates: (step,) learning rates.
        updates: updates done by the optimizer before.
        seed: of the first step's dropout; each step has the next one.
        blocks: tuple of lanes / 16 elements.
    """
    lanes = buffers.units.shape[1]
    losses = np.zeros(len(rates))
    for step in range(len(rates)):
        for begin in range(0, batch, lanes):
            count = min(lanes, batch - begin)
            chosen = order[step * batch + begin : step * batch + begin + count]
            key = mix(np.uint64(seed) + np.uint64(step), np.uint64(begin))
            take_inputs(layouts, buffers, examples, chosen)
            forward(layouts, indices, buffers, values.weights, examples, chosen, key, blocks)
            losses[step] += losses_and_gradients(layouts, buffers, examples.labels, chosen, batch, loss_kind)
            backward(layouts, indices, buffers, values, examples, chosen, begin == 0, key, blocks)
        update(layouts, values, rates[step], updates + step + 1, rule)
    return losses / batch


def is_compiled() -> bool:
    """Return whether training needs not wait for the compiler, because the code of some earlier one is kept on disk."""
    return is_cached(train_steps)


@compiled
def evaluate(
    layouts: Array,
    indices: Indices,
    buffers: Buffers,
    weights: Array,
    examples: Examples,
    loss_kind: int,
    correct: Array,
    blocks: tuple[int, ...],
) -> float:
    """Return the sum of the losses of all examples; the layouts should drop nothing.

    Args:
        correct: (class,) how many of each are classified rightly are added to it.
    """
    lanes = buffers.units.shape[1]
    loss = 0.0
    total = len(examples.labels)
    for begin in range(0, total, lanes):
        chosen = np.arange(begin, min(begin + lanes, total))
        take_inputs(layouts, buffers, examples, chosen)
        forward(layouts, indices, buffers, weights, examples, chosen, np.uint64(0), blocks)
        loss += losses_and_gradients(layouts, buffers, examples.labels, chosen, 1, loss_kind)
        add_correct(layouts, buffers, examples.labels, chosen, correct)
    return loss


@compiled
def add_correct(layouts: Array, buffers: Buffers, labels: Array, chosen: Array, correct: Array) -> None:
    """Add to (class,) how many of the chosen examples of each are classified rightly."""
    last = layouts[-1]
    logits = buffers.units[last.unit : last.unit + last.outputs]
    for lane in range(len(chosen)):
        best = 0
        for unit in range(1, len(logits)):
            if logits[unit, lane] > logits[best, lane]:
                best = unit
        label = labels[chosen[lane]]
        correct[label] += best == label


@compiled
def take_inputs(layouts: Array, buffers: Buffers, examples: Examples, chosen: Array) -> None:
    """Take the inputs of the chosen examples: as rows, unless the first layer takes them as they are."""
    if layouts[0].kind == INPUTS:
        return
    inputs, row_of = buffers.inputs, buffers.input_row
    inputs[:] = 0
    for lane in range(len(chosen)):
        for index in range(examples.starts[chosen[lane]], examples.starts[chosen[lane] + 1]):
            inputs[row_of[examples.columns[index]], lane] = examples.values[index]


@compiled
def forward(
    layouts: Array,
    indices: Indices,
    buffers: Buffers,
    weights: Array,
    examples: Examples,
    chosen: Array,
    key: Any,
    blocks: tuple[int, ...],
) -> None:
    """Compute outputs of all layers for the chosen examples, into the buffers."""
    source = buffers.inputs
    for number in range(len(layouts)):
        layout = layouts[number]
        out = buffers.units[layout.unit : layout.unit + layout.outputs]
        if layout.kind == INPUTS:
            multiply_inputs(layout, buffers, weights, examples, chosen, out)
        elif layout.kind == DENSE:
            multiply_dense(layout, weights, source, out)
        else:
            multiply_sparse(layout, indices, weights, source, out, blocks)
        activate(layout, out, key)
        source = out


@compiled
def backward(
    layouts: Array,
    indices: Indices,
    buffers: Buffers,
    values: Values,
    examples: Examples,
    chosen: Array,
    is_first: bool,
    key: Any,
    blocks: tuple[int, ...],
) -> None:
    """Compute gradients of all values; they are added to what is there unless the batch's part is the first."""
    for number in range(len(layouts) - 1, -1, -1):
        layout = layouts[number]
        own = values.gradients[layout.first : layout.first + layout.count]
        given = buffers.gradients[layout.unit : layout.unit + layout.outputs]
        below = buffers.gradients[layouts[number - 1].unit : layout.unit] if number > 0 else given
        source = buffers.units[layouts[number - 1].unit : layout.unit] if number > 0 else buffers.inputs
        unactivate(layout, buffers.units[layout.unit : layout.unit + layout.outputs], given, key)
        if layout.bias >= 0:
            bias_gradient(layout, values.gradients, given, is_first)
        if layout.kind == INPUTS:
            inputs_gradient(layout, buffers, own, examples, chosen, given, is_first)
        elif layout.kind == DENSE:
            dense_gradient(layout, own, source, given, is_first)
            if number > 0:
                dense_input_gradient(layout, values.weights, given, below)
        else:
            sparse_gradient(layout, indices, own, source, given, is_first, blocks)
            if number > 0:
                sparse_input_gradient(layout, indices, values.weights, given, below, blocks)
