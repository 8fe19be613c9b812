"""Losses of a batch and their gradients by the logits."""

import math

from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.buffers import Buffers
from lth.training.engines.sparse.compiled import compiled

CROSS_ENTROPY, MEAN_SQUARED_ERROR = 0, 1

LOSS_NUMBERS = {"cross_entropy": CROSS_ENTROPY, "mean_squared_error": MEAN_SQUARED_ERROR}
"""By their names in a recipe."""


@compiled
def losses_and_gradients(
    layouts: Array, buffers: Buffers, labels: Array, chosen: Array, batch: int, kind: int
) -> float:
    """Sum of the losses; their gradient by the logits, divided by `batch`, goes into the last units' gradients."""
    last = layouts[-1]
    logits = buffers.units[last.unit : last.unit + last.outputs]
    gradients = buffers.gradients[last.unit : last.unit + last.outputs]
    classes, count, total = last.outputs, len(chosen), 0.0
    gradients[:, count:] = 0
    for lane in range(count):
        label = labels[chosen[lane]]
        if kind == MEAN_SQUARED_ERROR:
            for unit in range(classes):
                error = logits[unit, lane] - (unit == label)
                total += error * error / classes
                gradients[unit, lane] = 2 * error / (classes * batch)
            continue
        highest = logits[0, lane]
        for unit in range(1, classes):
            highest = max(highest, logits[unit, lane])
        norm = logits.dtype.type(0)
        for unit in range(classes):
            power = math.exp(logits[unit, lane] - highest)
            gradients[unit, lane] = power
            norm += power
        total += math.log(norm) + highest - logits[label, lane]
        for unit in range(classes):
            gradients[unit, lane] = (gradients[unit, lane] / norm - (unit == label)) / batch
    return total
