"""Training steps of a network with convolutions, compiled: a trunk of these, and a perceptron on what they give.

The trunk goes through a batch part by part, 16 examples each; the linear layers take all parts side by side.
"""

from typing import Any, NamedTuple

import numpy as np

from lth.sparsity.numba_cache import is_cached
from lth.training.engines.sparse.activations import mix
from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.buffers import Buffers, Values
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.convolution import (
    add_bias_gradient,
    add_weight_gradient,
    convolve,
    convolved_gradient,
    plane_of,
    take_weight_gradient,
)
from lth.training.engines.sparse.examples import Examples
from lth.training.engines.sparse.images import Target, copy, flattened, gather, padded, pool, relu, unpool, unrelu
from lth.training.engines.sparse.layout import Indices, Kind
from lth.training.engines.sparse.losses import losses_and_gradients
from lth.training.engines.sparse.products import dense_input_gradient, sparse_input_gradient
from lth.training.engines.sparse.steps import add_correct, backward, forward
from lth.training.engines.sparse.trunk import LANES, RUN, Places
from lth.training.engines.sparse.update_rule import UpdateRule
from lth.training.engines.sparse.updates import update

DENSE = int(Kind.DENSE)


class Trunk(NamedTuple):
    """The convolutions of a network, and what they work on.

    Attributes:
        convolutions: (convolution,) of CONVOLUTION.
        places: where their weights lie.
        activations: (part, float) inputs and outputs of all of them.
        gradients: (float,) by these, of one part.
        sums: (entry * 16,) gradients of the surviving weights, by lane.
        below: (feature, lanes) gradients by what the linear layers take.
    """

    convolutions: Array
    places: Places
    activations: Array
    gradients: Array
    sums: Array
    below: Array


@compiled
def train_trunk_steps(
    trunk: Trunk,
    moved: Array,
    layouts: Array,
    indices: Indices,
    buffers: Buffers,
    values: Values,
    nothing: Examples,
    images: Array,
    labels: Array,
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
        moved: (layer,) of LAYOUT, all that the optimizer moves: convolutions and linear layers.
        layouts: (layer,) of the linear layers.
        nothing: no examples: the linear layers take what the trunk gives.
        images: (step * batch, channel * row * column), batch by batch.
        labels: (step * batch,).
    The others are as in `steps.train_steps`.
    """
    lanes = buffers.units.shape[1]
    losses = np.zeros(len(rates))
    for step in range(len(rates)):
        trunk.sums[:] = 0
        for begin in range(0, batch, lanes):
            first = step * batch + begin
            chosen = np.arange(first, first + min(lanes, batch - begin))
            key = mix(np.uint64(seed) + np.uint64(step), np.uint64(begin))
            forward_trunk(trunk, buffers, values.weights, images, chosen)
            forward(layouts, indices, buffers, values.weights, nothing, chosen, key, blocks)
            losses[step] += losses_and_gradients(layouts, buffers, labels, chosen, batch, loss_kind)
            backward(layouts, indices, buffers, values, nothing, chosen, begin == 0, key, blocks)
            _features_gradient(layouts, indices, values.weights, buffers.gradients, trunk.below, blocks)
            backward_trunk(trunk, buffers, values, len(chosen), begin == 0)
        for number in range(len(trunk.convolutions)):
            take_weight_gradient(trunk.convolutions[number], trunk.sums, values.gradients)
        update(moved, values, rates[step], updates + step + 1, rule)
    return losses / batch


def is_compiled() -> bool:
    """Return whether such a training needs not wait for the compiler."""
    return is_cached(train_trunk_steps)


@compiled
def evaluate_trunk(
    trunk: Trunk,
    layouts: Array,
    indices: Indices,
    buffers: Buffers,
    weights: Array,
    nothing: Examples,
    images: Array,
    labels: Array,
    loss_kind: int,
    correct: Array,
    blocks: tuple[int, ...],
) -> float:
    """Return the sum of the losses of these examples; see `steps.evaluate`."""
    lanes = buffers.units.shape[1]
    loss = 0.0
    for begin in range(0, len(labels), lanes):
        chosen = np.arange(begin, min(begin + lanes, len(labels)))
        forward_trunk(trunk, buffers, weights, images, chosen)
        forward(layouts, indices, buffers, weights, nothing, chosen, np.uint64(0), blocks)
        loss += losses_and_gradients(layouts, buffers, labels, chosen, 1, loss_kind)
        add_correct(layouts, buffers, labels, chosen, correct)
    return loss


@compiled
def forward_trunk(trunk: Trunk, buffers: Buffers, weights: Array, images: Array, chosen: Array) -> None:
    """Compute what the linear layers take, for the chosen examples."""
    features = buffers.inputs.reshape(buffers.inputs.size)
    last = len(trunk.convolutions) - 1
    for part in range((len(chosen) + LANES - 1) // LANES):
        activations = trunk.activations[part]
        gather(images, chosen[part * LANES : (part + 1) * LANES], trunk.convolutions[0], activations)
        for number in range(last + 1):
            own = trunk.convolutions[number]
            source, out = _inputs_of(own, activations), _outputs_of(own, activations)
            convolve(own, trunk.places, weights, source, out, RUN)
            to = _target_of(trunk, number, part, buffers.inputs.shape[1])
            if own.is_pooled:
                pool(own, out, features if number == last else activations, to)
                continue
            relu(own, out)
            if number == last:
                copy(own, out, padded(0, own.height, own.columns), features, to)


@compiled
def backward_trunk(trunk: Trunk, buffers: Buffers, values: Values, count: int, is_first: bool) -> None:
    """Compute gradients of the convolutions; they are added to what is there unless the batch's part is the first."""
    features, below = buffers.inputs.reshape(buffers.inputs.size), trunk.below.reshape(trunk.below.size)
    last = len(trunk.convolutions) - 1
    for number in range(last + 1):
        own = trunk.convolutions[number]
        if is_first and own.bias >= 0:
            values.gradients[own.bias : own.bias + own.outputs] = 0
    for part in range((count + LANES - 1) // LANES):
        activations = trunk.activations[part]
        for number in range(last, -1, -1):
            own = trunk.convolutions[number]
            source, out = _inputs_of(own, activations), _outputs_of(own, activations)
            given = _outputs_of(own, trunk.gradients)
            to = _target_of(trunk, number, part, buffers.inputs.shape[1])
            if own.is_pooled:
                pooled, wanted = (features, below) if number == last else (activations, trunk.gradients)
                unpool(own, out, pooled, wanted, to, given)
            else:
                if number == last:
                    copy(own, below, to, given, padded(0, own.height, own.columns))
                unrelu(out, given)
            add_weight_gradient(own, trunk.places, trunk.sums, source, given, RUN)
            if own.bias >= 0:
                add_bias_gradient(own, values.gradients, given)
            if number > 0:
                convolved_gradient(own, trunk.places, values.weights, given, _inputs_of(own, trunk.gradients), RUN)


@compiled
def _inputs_of(own: Any, activations: Array) -> Array:
    return activations[own.source * LANES : (own.source + own.inputs * plane_of(own)) * LANES]


@compiled
def _outputs_of(own: Any, activations: Array) -> Array:
    return activations[own.out * LANES : (own.out + own.outputs * plane_of(own)) * LANES]


@compiled
def _target_of(trunk: Trunk, number: int, part: int, lanes: int) -> Target:
    """Return where pooled outputs go, or those of the last convolution."""
    if number + 1 < len(trunk.convolutions):
        above = trunk.convolutions[number + 1]
        return padded(above.source * LANES, above.height, above.columns)
    own = trunk.convolutions[number]
    by = 2 if own.is_pooled else 1
    return flattened(part, own.height // by, own.width // by, lanes)


@compiled
def _features_gradient(
    layouts: Array, indices: Indices, weights: Array, gradients: Array, below: Array, blocks: tuple[int, ...]
) -> None:
    """Compute gradients by what the first linear layer takes."""
    layout = layouts[0]
    given = gradients[layout.unit : layout.unit + layout.outputs]
    if layout.kind == DENSE:
        dense_input_gradient(layout, weights, given, below)
    else:
        sparse_input_gradient(layout, indices, weights, given, below, blocks)
