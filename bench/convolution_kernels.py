"""The three products of a 3 x 3 convolution on its surviving weights: an experiment, with the sparse engine's means.

Sixteen examples lie innermost: an activation is (part of the batch, channel, row, column, 16), flat, with a border of
zeros around each image, so that padding needs no branch and a weight's place is one number. A product goes run by run
of neighbouring columns; within one, tile by tile of input channels, so that what is read stays in the first cache.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bench.convolution_rows import combine_runs, multiply_runs
from lth.sparsity.numba_cache import cached_njit
from lth.training.engines.sparse import rows
from lth.training.engines.sparse.arrays import Array, aligned_zeros
from lth.training.engines.sparse.compiled import RELAXED

LANES = 16
"""Examples side by side."""

RUN = (0,) * 8
"""As many columns in one run as this has elements: the sums of a run take eight registers of AVX-512."""

TILE, TILE_ENTRIES = 16, 8
"""Input channels that a product stays with, and more until an output channel has so many weights in them."""

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Return a function of these benchmarks, compiled; its code is fresh while the files that it comes from are."""
    return cached_njit(function, stamp=_digest(), error_model="numpy", fastmath=set(RELAXED))


@cache
def _digest() -> str:
    files = [*Path(__file__).parent.glob("conv*.py"), *Path(rows.__file__).parent.glob("*.py")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()


class Convolution(NamedTuple):
    """Where the surviving weights of a convolution lie.

    Attributes:
        inputs, outputs: channels.
        size: rows and columns of an image; a multiple of the run.
        weights: (entry,) flat index of each surviving weight in (output, input, row, column), in order of tile, output.
        places: (entry,) unsigned; where a weight's first run of inputs begins, in vectors.
        starts: (tile * outputs + 1,) first entry of each output in each tile.
        back_order, back_places, back_starts: the same for the gradient by the inputs, outputs and inputs exchanged.
    """

    inputs: int
    outputs: int
    size: int
    weights: Array
    places: Array
    starts: Array
    back_order: Array
    back_places: Array
    back_starts: Array

    def activations(self, channels: int, parts: int) -> Array:
        """Return zeros for so many parts of a batch, (part, float)."""
        return aligned_zeros((parts, channels * (self.size + 2) ** 2 * LANES), np.float32)


def convolution(mask: Array, size: int) -> Convolution:
    """Return the places of the weights that a mask keeps, (output, input, 3, 3), for images of size x size."""
    outputs, inputs = mask.shape[:2]
    pitch = size + 2
    output, channel, row, column = np.nonzero(mask)
    order, starts = _in_tiles(output, channel, outputs, inputs)
    output, channel, row, column = (each[order] for each in (output, channel, row, column))
    back, back_starts = _in_tiles(channel, output, inputs, outputs)
    places = channel * pitch**2 + row * pitch + column
    back_places = output * pitch**2 + (2 - row) * pitch + 2 - column
    return Convolution(
        inputs,
        outputs,
        size,
        weights=np.ravel_multi_index((output, channel, row, column), mask.shape),
        places=places.astype(np.uint32),
        starts=starts,
        back_order=back.astype(np.uint32),
        back_places=back_places[back].astype(np.uint32),
        back_starts=back_starts,
    )


def _in_tiles(to: Array, channel: Array, outputs: int, inputs: int) -> tuple[Array, Array]:
    """Return the order by (tile of channels, to), and the first entry of each."""
    wanted = max(TILE, round(TILE_ENTRIES * inputs * outputs / max(1, len(to))))
    tile = inputs if 2 * wanted > inputs else wanted
    group = channel // tile * outputs + to
    counts = np.bincount(group, minlength=-(-inputs // tile) * outputs)
    return np.lexsort((channel, group)), np.concatenate([[0], np.cumsum(counts)])


@compiled
def multiply(own: Convolution, weights: Array, bias: Array, source: Array, out: Array, run: tuple[int, ...]) -> None:
    """Compute outputs of one part of a batch from its inputs; the border of `out` stays as it is.

    Args:
        own: where the weights lie.
        weights: (entry,).
        bias: (output,).
        source, out: (float,) one part's inputs and outputs, with their borders.
        run: tuple of so many elements as a run has columns.
    """
    pitch = own.size + 2
    plane, tiles = pitch * pitch, (len(own.starts) - 1) // own.outputs
    for row in range(own.size):
        for column in range(0, own.size, len(run)):
            shift = row * pitch + column
            to = shift + pitch + 1
            for group in range(tiles * own.outputs):
                unit = group % own.outputs
                begin, end = own.starts[group], own.starts[group + 1]
                place = to + unit * plane
                if group < own.outputs:
                    combine_runs(bias[unit], out, place, weights, None, source, own.places, shift, begin, end, run)
                elif end > begin:
                    combine_runs(None, out, place, weights, None, source, own.places, shift, begin, end, run)


@compiled
def input_gradient(own: Convolution, weights: Array, given: Array, below: Array, run: tuple[int, ...]) -> None:
    """Compute gradients by the inputs of one part from those by its outputs, whose border is zero."""
    pitch = own.size + 2
    plane, tiles = pitch * pitch, (len(own.back_starts) - 1) // own.inputs
    order, places = own.back_order, own.back_places
    for row in range(own.size):
        for column in range(0, own.size, len(run)):
            shift = row * pitch + column
            to = shift + pitch + 1
            for group in range(tiles * own.inputs):
                begin, end = own.back_starts[group], own.back_starts[group + 1]
                place = to + group % own.inputs * plane
                if group < own.inputs:
                    combine_runs(0.0, below, place, weights, order, given, places, shift, begin, end, run)
                elif end > begin:
                    combine_runs(None, below, place, weights, order, given, places, shift, begin, end, run)


@compiled
def weight_gradient(own: Convolution, sums: Array, source: Array, given: Array, run: tuple[int, ...]) -> None:
    """Add one part's gradients of the surviving weights, lane by lane, to (entry * 16,) sums."""
    pitch = own.size + 2
    plane, tiles = pitch * pitch, (len(own.starts) - 1) // own.outputs
    for row in range(own.size):
        for column in range(0, own.size, len(run)):
            shift = row * pitch + column
            to = shift + pitch + 1
            for group in range(tiles * own.outputs):
                begin, end = own.starts[group], own.starts[group + 1]
                if end > begin:
                    place = to + group % own.outputs * plane
                    multiply_runs(sums, given, place, source, own.places, shift, begin, end, run)
