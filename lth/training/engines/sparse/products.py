"""The three products of a layer, forward and back, for surviving weights and for dense blocks."""

from typing import Any

import numpy as np

from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.layout import Indices
from lth.training.engines.sparse.rows import combine_rows, dot_rows


@compiled
def multiply_sparse(
    layout: Any, indices: Indices, weights: Array, source: Array, out: Array, blocks: tuple[int, ...]
) -> None:
    """Compute outputs from inputs and surviving weights, tile by tile of inputs: (input, lane) -> (output, lane)."""
    own = weights[layout.first : layout.first + layout.count]
    columns, starts = indices.columns[layout.columns :], indices.starts[layout.starts :]
    for unit in range(layout.outputs):
        bias = weights[layout.bias + unit] if layout.bias >= 0 else weights.dtype.type(0)
        combine_rows(bias, out, unit, own, None, source, columns, starts[unit], starts[unit + 1], blocks)
    for _ in range(1, layout.tiles):
        starts = starts[layout.outputs :]
        for unit in range(layout.outputs):
            begin, end = starts[unit], starts[unit + 1]
            if end > begin:
                combine_rows(None, out, unit, own, None, source, columns, begin, end, blocks)


@compiled
def sparse_gradient(
    layout: Any, indices: Indices, own: Array, source: Array, given: Array, is_first: bool, blocks: tuple[int, ...]
) -> None:
    """Compute gradients of the surviving weights alone: a product of two rows for each."""
    columns, starts = indices.columns[layout.columns :], indices.starts[layout.starts :]
    for _ in range(layout.tiles):
        for unit in range(layout.outputs):
            begin, end = starts[unit], starts[unit + 1]
            if end > begin and is_first:
                dot_rows(0.0, own, given, unit, source, columns, begin, end, blocks)
            elif end > begin:
                dot_rows(None, own, given, unit, source, columns, begin, end, blocks)
        starts = starts[layout.outputs :]


@compiled
def sparse_input_gradient(
    layout: Any, indices: Indices, weights: Array, given: Array, below: Array, blocks: tuple[int, ...]
) -> None:
    """Compute gradients of the inputs: (output, lane) -> (input, lane)."""
    own = weights[layout.first : layout.first + layout.count]
    rows, order = indices.back_rows[layout.columns :], indices.back_order[layout.columns :]
    starts = indices.back_starts[layout.back_starts :]
    for unit in range(layout.inputs):
        combine_rows(0.0, below, unit, own, order, given, rows, starts[unit], starts[unit + 1], blocks)
    for _ in range(1, layout.back_tiles):
        starts = starts[layout.inputs :]
        for unit in range(layout.inputs):
            begin, end = starts[unit], starts[unit + 1]
            if end > begin:
                combine_rows(None, below, unit, own, order, given, rows, begin, end, blocks)


@compiled
def multiply_dense(layout: Any, weights: Array, source: Array, out: Array) -> None:
    """Compute outputs from inputs and all weights, by the BLAS library."""
    matrix = weights[layout.first : layout.first + layout.count].reshape(layout.outputs, layout.inputs)
    np.dot(matrix, source[: layout.inputs], out)
    if layout.bias >= 0:
        for unit in range(layout.outputs):
            for lane in range(out.shape[1]):
                out[unit, lane] += weights[layout.bias + unit]


@compiled
def dense_gradient(layout: Any, own: Array, source: Array, given: Array, is_first: bool) -> None:
    """Compute gradients of all weights."""
    if is_first:
        np.dot(given, source[: layout.inputs].T, own.reshape(layout.outputs, layout.inputs))
    else:
        part = np.dot(given, source[: layout.inputs].T).reshape(layout.count)
        for index in range(layout.count):
            own[index] += part[index]


@compiled
def dense_input_gradient(layout: Any, weights: Array, given: Array, below: Array) -> None:
    """Compute gradients of the inputs: (output, lane) -> (input, lane)."""
    matrix = weights[layout.first : layout.first + layout.count].reshape(layout.outputs, layout.inputs)
    np.dot(matrix.T, given, below)


@compiled
def bias_gradient(layout: Any, gradients: Array, given: Array, is_first: bool) -> None:
    """Compute gradients of a layer's bias: sums of rows."""
    for unit in range(layout.outputs):
        total = given.dtype.type(0)
        for lane in range(given.shape[1]):
            total += given[unit, lane]
        gradients[layout.bias + unit] = total if is_first else gradients[layout.bias + unit] + total
