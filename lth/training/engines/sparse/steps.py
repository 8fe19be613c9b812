"""Training steps of a multilayer perceptron, compiled: forward, loss, backward, update, with no Python between.

Activations and their gradients lie unit by unit, a row of `lanes` examples each, so that one surviving weight is a few
vector operations on rows. Lanes beyond the batch hold zeros in the gradients.
"""

from typing import Any

import numpy as np

from lth.sparsity.compiled import is_on_disk
from lth.training.engines.sparse.activations import activate, mix, unactivate
from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.buffers import Buffers, Values
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.examples import Examples
from lth.training.engines.sparse.inputs import inputs_gradient, multiply_inputs
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
from lth.training.engines.sparse.rule import Rule
from lth.training.engines.sparse.structure import Indices, Kind
from lth.training.engines.sparse.updates import update

DENSE, INPUTS = int(Kind.DENSE), int(Kind.INPUTS)


@compiled
def train_steps(
    plans: Array,
    indices: Indices,
    buffers: Buffers,
    values: Values,
    examples: Examples,
    order: Array,
    batch: int,
    rates: Array,
    updates: int,
    rule: Rule,
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
            take_inputs(plans, buffers, examples, chosen)
            forward(plans, indices, buffers, values.weights, examples, chosen, key, blocks)
            losses[step] += losses_and_gradients(plans, buffers, examples.labels, chosen, batch, loss_kind)
            backward(plans, indices, buffers, values, examples, chosen, begin == 0, key, blocks)
        update(plans, values, rates[step], updates + step + 1, rule)
    return losses / batch


def is_compiled() -> bool:
    """Return whether training needs not wait for the compiler, because the code of some earlier one is kept on disk."""
    return is_on_disk(train_steps)


@compiled
def evaluate(
    plans: Array,
    indices: Indices,
    buffers: Buffers,
    weights: Array,
    examples: Examples,
    loss_kind: int,
    correct: Array,
    blocks: tuple[int, ...],
) -> float:
    """Return the sum of the losses of all examples; the plans should drop nothing.

    Args:
        correct: (class,) how many of each are classified rightly are added to it.
    """
    lanes = buffers.units.shape[1]
    last = plans[-1]
    logits = buffers.units[last.unit : last.unit + last.outputs]
    loss = 0.0
    total = len(examples.labels)
    for begin in range(0, total, lanes):
        chosen = np.arange(begin, min(begin + lanes, total))
        take_inputs(plans, buffers, examples, chosen)
        forward(plans, indices, buffers, weights, examples, chosen, np.uint64(0), blocks)
        loss += losses_and_gradients(plans, buffers, examples.labels, chosen, 1, loss_kind)
        for lane in range(len(chosen)):
            best = 0
            for unit in range(1, len(logits)):
                if logits[unit, lane] > logits[best, lane]:
                    best = unit
            label = examples.labels[chosen[lane]]
            correct[label] += best == label
    return loss


@compiled
def take_inputs(plans: Array, buffers: Buffers, examples: Examples, chosen: Array) -> None:
    """Take the inputs of the chosen examples: as rows, unless the first layer takes them as they are."""
    if plans[0].kind == INPUTS:
        return
    inputs, row_of = buffers.inputs, buffers.input_row
    inputs[:] = 0
    for lane in range(len(chosen)):
        for index in range(examples.starts[chosen[lane]], examples.starts[chosen[lane] + 1]):
            inputs[row_of[examples.columns[index]], lane] = examples.values[index]


@compiled
def forward(
    plans: Array,
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
    for number in range(len(plans)):
        plan = plans[number]
        out = buffers.units[plan.unit : plan.unit + plan.outputs]
        if plan.kind == INPUTS:
            multiply_inputs(plan, buffers, weights, examples, chosen, out)
        elif plan.kind == DENSE:
            multiply_dense(plan, weights, source, out)
        else:
            multiply_sparse(plan, indices, weights, source, out, blocks)
        activate(plan, out, key)
        source = out


@compiled
def backward(
    plans: Array,
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
    for number in range(len(plans) - 1, -1, -1):
        plan = plans[number]
        own = values.gradients[plan.first : plan.first + plan.count]
        given = buffers.gradients[plan.unit : plan.unit + plan.outputs]
        below = buffers.gradients[plans[number - 1].unit : plan.unit] if number > 0 else given
        source = buffers.units[plans[number - 1].unit : plan.unit] if number > 0 else buffers.inputs
        unactivate(plan, buffers.units[plan.unit : plan.unit + plan.outputs], given, key)
        if plan.bias >= 0:
            bias_gradient(plan, values.gradients, given, is_first)
        if plan.kind == INPUTS:
            inputs_gradient(plan, buffers, own, examples, chosen, given, is_first)
        elif plan.kind == DENSE:
            dense_gradient(plan, own, source, given, is_first)
            if number > 0:
                dense_input_gradient(plan, values.weights, given, below)
        else:
            sparse_gradient(plan, indices, own, source, given, is_first, blocks)
            if number > 0:
                sparse_input_gradient(plan, indices, values.weights, given, below, blocks)
