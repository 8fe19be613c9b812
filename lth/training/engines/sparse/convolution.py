"""The three products of a convolution, forward and back, on its surviving weights, for one part of a batch.

A product goes run by run of neighbouring columns; within one, tile by tile of channels, so that what is read stays in
the first-level cache.
"""

from typing import Any

from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.runs import combine_runs, multiply_runs
from lth.training.engines.sparse.trunk import LANES, Places


@compiled
def plane_of(own: Any) -> int:
    """Return the vectors of one channel."""
    plane: int = (own.height + 2) * (own.columns + 2)
    return plane


@compiled
def convolve(own: Any, where: Places, weights: Array, source: Array, out: Array, run: tuple[int, ...]) -> None:
    """Compute outputs from inputs; the border of `out` stays as it is, what lies beyond the image does not.

    Args:
        own: the convolution.
        where: its weights lie.
        weights: all values of the network.
        source, out: (float,) inputs and outputs, with their borders.
        run: tuple of so many elements as a run has columns.
    """
    pitch, plane = own.columns + 2, plane_of(own)
    values, starts = weights[own.first : own.first + own.entries], where.starts[own.starts :]
    places = where.places[own.entry : own.entry + own.entries]
    for row in range(own.height):
        for column in range(0, own.columns, len(run)):
            shift = row * pitch + column
            to = shift + pitch + 1
            for unit in range(own.outputs):
                bias = weights[own.bias + unit] if own.bias >= 0 else weights.dtype.type(0)
                begin, end = starts[unit], starts[unit + 1]
                combine_runs(bias, out, to + unit * plane, values, None, source, places, shift, begin, end, run)
            for group in range(own.outputs, own.tiles * own.outputs):
                begin, end = starts[group], starts[group + 1]
                place = to + group % own.outputs * plane
                if end > begin:
                    combine_runs(None, out, place, values, None, source, places, shift, begin, end, run)


@compiled
def convolved_gradient(
    own: Any, where: Places, weights: Array, given: Array, below: Array, run: tuple[int, ...]
) -> None:
    """Compute gradients by the inputs from those by the outputs, which are zero beyond the image."""
    pitch, plane = own.columns + 2, plane_of(own)
    values, starts = weights[own.first : own.first + own.entries], where.back_starts[own.back_starts :]
    order = where.back_order[own.entry : own.entry + own.entries]
    places = where.back_places[own.entry : own.entry + own.entries]
    for row in range(own.height):
        for column in range(0, own.columns, len(run)):
            shift = row * pitch + column
            to = shift + pitch + 1
            for unit in range(own.inputs):
                begin, end = starts[unit], starts[unit + 1]
                combine_runs(0.0, below, to + unit * plane, values, order, given, places, shift, begin, end, run)
            for group in range(own.inputs, own.back_tiles * own.inputs):
                begin, end = starts[group], starts[group + 1]
                place = to + group % own.inputs * plane
                if end > begin:
                    combine_runs(None, below, place, values, order, given, places, shift, begin, end, run)


@compiled
def add_weight_gradient(
    own: Any, where: Places, sums: Array, source: Array, given: Array, run: tuple[int, ...]
) -> None:
    """Add gradients of the surviving weights, lane by lane, to (entry * 16,) sums."""
    pitch, plane = own.columns + 2, plane_of(own)
    totals, starts = sums[own.entry * LANES : (own.entry + own.entries) * LANES], where.starts[own.starts :]
    places = where.places[own.entry : own.entry + own.entries]
    for row in range(own.height):
        for column in range(0, own.columns, len(run)):
            shift = row * pitch + column
            to = shift + pitch + 1
            for group in range(own.tiles * own.outputs):
                begin, end = starts[group], starts[group + 1]
                if end > begin:
                    place = to + group % own.outputs * plane
                    multiply_runs(totals, given, place, source, places, shift, begin, end, run)


@compiled
def add_bias_gradient(own: Any, gradients: Array, given: Array) -> None:
    """Add gradients of the bias: sums over channels."""
    plane = plane_of(own) * LANES
    for unit in range(own.outputs):
        channel, total = given[unit * plane : (unit + 1) * plane], given.dtype.type(0)
        for index in range(plane):
            total += channel[index]
        gradients[own.bias + unit] += total


@compiled
def take_weight_gradient(own: Any, sums: Array, gradients: Array) -> None:
    """Set each weight's gradient to the sum of its lanes."""
    for entry in range(own.entries):
        total: Any = sums.dtype.type(0)
        for lane in range((own.entry + entry) * LANES, (own.entry + entry + 1) * LANES):
            total += sums[lane]
        gradients[own.first + entry] = total
