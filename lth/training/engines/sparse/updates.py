"""One optimizer step over a network's values, in the order of operations of torch.optim."""

import math
from typing import Any

from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.buffers import Values
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.update_rule import ADAM, ADAMW, SGD, UpdateRule


@compiled
def update(layouts: Array, values: Values, rate: float, updates: int, rule: UpdateRule) -> None:
    """Do one optimizer step, in the order of operations of torch.optim."""
    real = values.weights.dtype.type
    gradients = values.gradients
    if len(values.trained):
        for number in range(len(layouts)):
            if layouts[number].is_masked:
                part = _values_of(layouts[number])
                own, trained = gradients[part], values.trained[part]
                for index in range(len(own)):
                    own[index] *= trained[index]
    if rule.clip > 0:
        squares = 0.0
        for index in range(len(gradients)):
            squares += gradients[index] * gradients[index]
        factor = real(min(1.0, rule.clip / (math.sqrt(squares) + 1e-6)))
        for index in range(len(gradients)):
            gradients[index] *= factor
    for number in range(len(layouts)):
        layout = layouts[number]
        part = _values_of(layout)
        frozen = values.weights[:0]
        if layout.is_masked and rule.weight_decay > 0:
            frozen = values.weights[part].copy()
        if rule.kind == SGD:
            first = values.first[part] if rule.momentum > 0 else values.first
            _sgd(values.weights[part], gradients[part], first, rate, updates, rule)
        else:
            _adam(values.weights[part], gradients[part], values.first[part], values.second[part], rate, updates, rule)
        if len(frozen):
            weights, trained = values.weights[part], values.trained[part]
            for index in range(len(frozen)):
                weights[index] = weights[index] if trained[index] else frozen[index]


@compiled
def _values_of(layout: Any) -> slice:
    """Return a layer's weights and bias among all values."""
    return slice(layout.first, layout.first + layout.count + (layout.outputs if layout.bias >= 0 else 0))


@compiled
def _sgd(weights: Array, gradients: Array, momentum: Array, rate: float, updates: int, rule: UpdateRule) -> None:
    real = weights.dtype.type
    lr, decay = real(rate), real(rule.weight_decay)
    factor, taken = real(rule.momentum), real(1 - rule.dampening)
    if updates == 1:
        taken = real(1)  # the first gradient is the first momentum
    for index in range(len(weights)):
        gradient = gradients[index] + decay * weights[index]
        if rule.momentum > 0:
            momentum[index] = factor * momentum[index] + taken * gradient
            gradient = gradient + factor * momentum[index] if rule.nesterov else momentum[index]
        weights[index] -= lr * gradient


@compiled
def _adam(
    weights: Array, gradients: Array, first: Array, second: Array, rate: float, updates: int, rule: UpdateRule
) -> None:
    real = weights.dtype.type
    taken1, beta2, taken2 = real(1 - rule.beta1), real(rule.beta2), real(1 - rule.beta2)
    lr = real(rate / (1 - rule.beta1**updates))
    correction = real(1 / math.sqrt(1 - rule.beta2**updates))
    eps = real(rule.eps)
    added = real(rule.weight_decay) if rule.kind == ADAM else real(0)
    shrunk = real(1 - rate * rule.weight_decay) if rule.kind == ADAMW else real(1)
    for index in range(len(weights)):
        gradient = gradients[index] + added * weights[index]
        moment = first[index] + taken1 * (gradient - first[index])
        square = beta2 * second[index] + taken2 * gradient * gradient
        first[index], second[index] = moment, square
        weights[index] = shrunk * weights[index] - lr * moment / (math.sqrt(square) * correction + eps)
