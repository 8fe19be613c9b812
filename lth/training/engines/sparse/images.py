"""What stands between convolutions, for one part of a batch: images side by side, ReLU, pooling, and the way out.

Where convolved values go is a `Target`: into the next convolution's inputs, or as rows into those of linear layers.
"""

from typing import Any, NamedTuple

import numpy as np

from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.trunk import LANES


class Target(NamedTuple):
    """Where 16 examples of a value lie among floats: start + channel * plane + row * pitch + column * step."""

    start: int
    plane: int
    pitch: int
    step: int


@compiled
def padded(start: int, height: int, columns: int) -> Target:
    """Return where values with a border around them lie."""
    pitch = (columns + 2) * LANES
    return Target(start + pitch + LANES, (height + 2) * pitch, pitch, LANES)


@compiled
def flattened(part: int, height: int, width: int, lanes: int) -> Target:
    """Return where values of (channel * row * column, lane) lie."""
    return Target(part * LANES, height * width * lanes, width * lanes, lanes)


@compiled
def gather(images: Array, chosen: Array, own: Any, out: Array) -> None:
    """Put up to 16 images side by side, with zeros where there are fewer.

    Args:
        images: (example, channel * row * column).
        chosen: (example,) which of them.
        own: the convolution that takes them.
        out: (float,) its inputs.
    """
    to, count = padded(0, own.height, own.columns), len(chosen)
    index = 0
    for channel in range(own.inputs):
        for row in range(own.height):
            for column in range(own.width):
                place = to.start + channel * to.plane + row * to.pitch + column * to.step
                for lane in range(count):
                    out[place + lane] = images[chosen[lane], index]
                for lane in range(count, LANES):
                    out[place + lane] = 0
                index += 1


@compiled
def relu(own: Any, out: Array) -> None:
    """Put zero in place of what is below, and of all that lies beyond the image."""
    to = padded(0, own.height, own.columns)
    for channel in range(own.outputs):
        for row in range(own.height):
            begin = to.start + channel * to.plane + row * to.pitch
            values = out[begin : begin + own.width * LANES]
            for index in range(own.width * LANES):
                values[index] = 0 if values[index] < 0 else values[index]  # NaN stays
            out[begin + own.width * LANES : begin + own.columns * LANES] = 0


@compiled
def unrelu(out: Array, given: Array) -> None:
    """Put zero in place of gradients by outputs that are zero."""
    for index in range(len(out)):
        given[index] = given[index] if out[index] > 0 else 0


@compiled
def pool(own: Any, source: Array, out: Array, to: Target) -> None:
    """Take ReLU and the largest of each 2 x 2; a last row or column without a partner is left out."""
    largest = np.empty(LANES, source.dtype)
    at = padded(0, own.height, own.columns)
    for channel in range(own.outputs):
        for row in range(own.height // 2):
            for column in range(own.width // 2):
                upper = at.start + channel * at.plane + 2 * row * at.pitch + 2 * column * LANES
                target = to.start + channel * to.plane + row * to.pitch + column * to.step
                largest[:] = 0
                for place in (upper, upper + LANES, upper + at.pitch, upper + at.pitch + LANES):
                    values = source[place : place + LANES]
                    for lane in range(LANES):
                        value, before = values[lane], largest[lane]
                        largest[lane] = before if value <= before or before != before else value  # NaN stays
                out[target : target + LANES] = largest


@compiled
def unpool(own: Any, source: Array, pooled: Array, wanted: Array, to: Target, given: Array) -> None:
    """Hand each gradient to the first of the four that was the largest, if that was above zero.

    Args:
        own: the convolution.
        source: (float,) its outputs, before ReLU.
        pooled, wanted: (float,) what `pool` made of them, and the gradients by these.
        to: where these lie.
        given: (float,) gradients by the outputs.
    """
    zero = source.dtype.type(0)
    left = np.empty(LANES, source.dtype)
    at = padded(0, own.height, own.columns)
    for channel in range(own.outputs):
        for row in range(own.height // 2):
            for column in range(own.width // 2):
                upper = at.start + channel * at.plane + 2 * row * at.pitch + 2 * column * LANES
                target = to.start + channel * to.plane + row * to.pitch + column * to.step
                largest, gradient = pooled[target : target + LANES], wanted[target : target + LANES]
                for lane in range(LANES):
                    value = gradient[lane]
                    left[lane] = value if largest[lane] > 0 else zero
                for place in (upper, upper + LANES, upper + at.pitch, upper + at.pitch + LANES):
                    values, gradients = source[place : place + LANES], given[place : place + LANES]
                    for lane in range(LANES):  # one corner after the other: a loop over few arrays is vectorised
                        value, is_largest = left[lane], values[lane] == largest[lane]
                        gradients[lane] = value if is_largest else zero
                        left[lane] = zero if is_largest else value


@compiled
def copy(own: Any, source: Array, at: Target, out: Array, to: Target) -> None:
    """Copy a convolution's outputs, or gradients by them, from one order into another."""
    for channel in range(own.outputs):
        for row in range(own.height):
            for column in range(own.width):
                place = at.start + channel * at.plane + row * at.pitch + column * at.step
                target = to.start + channel * to.plane + row * to.pitch + column * to.step
                out[target : target + LANES] = source[place : place + LANES]
