"""What stands between convolutions: images side by side, ReLU, pooling, sums; for one part of a batch, 16 examples."""

from typing import Any

import numpy as np

from bench.convolution_kernels import LANES, Convolution, compiled
from lth.training.engines.sparse.arrays import Array


@compiled
def gather(size: int, images: Array, chosen: Array, out: Array) -> None:
    """Put up to 16 images side by side, with zeros where there are fewer."""
    pitch, count = size + 2, min(LANES, len(chosen))
    for channel in range(images.shape[1]):
        for row in range(size):
            for column in range(size):
                place = ((channel * pitch + row + 1) * pitch + column + 1) * LANES
                for lane in range(count):
                    out[place + lane] = images[chosen[lane], channel, row, column]
                for lane in range(count, LANES):
                    out[place + lane] = 0


@compiled
def relu(out: Array) -> None:
    """Put zero in place of what is below."""
    for index in range(len(out)):
        out[index] = 0 if out[index] < 0 else out[index]


@compiled
def unrelu(out: Array, given: Array) -> None:
    """Put zero in place of gradients by outputs that are zero."""
    for index in range(len(out)):
        given[index] = given[index] if out[index] > 0 else 0


@compiled
def pool(own: Convolution, source: Array, out: Array, part: int) -> None:
    """Take ReLU and the largest of each 2 x 2: one part's outputs -> columns of (channel * row * column, lane)."""
    half = own.size // 2
    for unit in range(own.outputs * half * half):
        upper, lower = _corners(own, unit)
        above, under = source[upper : upper + 2 * LANES], source[lower : lower + 2 * LANES]
        largest = out[unit, part * LANES : (part + 1) * LANES]
        for lane in range(LANES):
            left, right = max(above[lane], under[lane]), max(above[LANES + lane], under[LANES + lane])
            largest[lane] = max(left, right, source.dtype.type(0))


@compiled
def unpool(own: Convolution, source: Array, pooled: Array, below: Array, given: Array, part: int) -> None:
    """Hand each gradient to the first of the four that was the largest, if that was above zero."""
    half, zero = own.size // 2, source.dtype.type(0)
    left = np.empty(LANES, source.dtype)
    for unit in range(own.outputs * half * half):
        upper, lower = _corners(own, unit)
        largest = pooled[unit, part * LANES : (part + 1) * LANES]
        wanted = below[unit, part * LANES : (part + 1) * LANES]
        for lane in range(LANES):
            gradient = wanted[lane]
            left[lane] = gradient if largest[lane] > 0 else zero
        for place in (upper, upper + LANES, lower, lower + LANES):
            values, gradients = source[place : place + LANES], given[place : place + LANES]
            for lane in range(LANES):  # one corner after the other: a loop over few arrays is vectorised
                gradient, is_largest = left[lane], values[lane] == largest[lane]
                gradients[lane] = gradient if is_largest else zero
                left[lane] = zero if is_largest else gradient


@compiled
def _corners(own: Convolution, unit: int) -> tuple[int, int]:
    """Return where the upper and the lower two of a pooled unit's four begin."""
    pitch, half = own.size + 2, own.size // 2
    channel, row, column = unit // (half * half), unit // half % half, unit % half
    upper = ((channel * pitch + 2 * row + 1) * pitch + 2 * column + 1) * LANES
    return upper, upper + pitch * LANES


@compiled
def add_channels(given: Array, totals: Array) -> None:
    """Add one part's gradients by a bias: sums over a channel."""
    plane = len(given) // len(totals)
    for channel in range(len(totals)):
        own, total = given[channel * plane : (channel + 1) * plane], given.dtype.type(0)
        for index in range(plane):
            total += own[index]
        totals[channel] += total


@compiled
def add_up(sums: Array, gradients: Array) -> None:
    """Set each weight's gradient to the sum of its lanes."""
    for entry in range(len(gradients)):
        total: Any = sums.dtype.type(0)
        for lane in range(entry * LANES, (entry + 1) * LANES):
            total += sums[lane]
        gradients[entry] = total
