"""The three products of a layer, forward and back, for surviving weights and for dense blocks."""

from typing import Any

import numpy as np

from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.rows import combine_rows, dot_rows
from lth.training.engines.sparse.structure import Indices


@compiled
def multiply_sparse(
    plan: Any, indices: Indices, weights: Array, source: Array, out: Array, blocks: tuple[int, ...]
) -> None:
    """Compute outputs from inputs and surviving weights, tile by tile of inputs: (input, lane) -> (output, lane)."""
    own = weights[plan.first : plan.first + plan.count]
    columns, starts = indices.columns[plan.columns :], indices.starts[plan.starts :]
    for unit in range(plan.outputs):
        bias = weights[plan.bias + unit] if plan.bias >= 0 else weights.dtype.type(0)
        combine_rows(bias, out, unit, own, None, source, columns, starts[unit], starts[unit + 1], blocks)
    for _ in range(1, plan.tiles):
        starts = starts[plan.outputs :]
        for unit in range(plan.outputs):
            begin, end = starts[unit], starts[unit + 1]
            if end > begin:
                combine_rows(None, out, unit, own, None, source, columns, begin, end, blocks)


@compiled
def sparse_gradient(
    plan: Any, indices: Indices, own: Array, source: Array, given: Array, is_first: bool, blocks: tuple[int, ...]
) -> None:
    """Compute gradients of the surviving weights alone: a product of two rows for each."""
    columns, starts = indices.columns[plan.columns :], indices.starts[plan.starts :]
    for _ in range(plan.tiles):
        for unit in range(plan.outputs):
            begin, end = starts[unit], starts[unit + 1]
            if end > begin and is_first:
                dot_rows(0.0, own, given, unit, source, columns, begin, end, blocks)
            elif end > begin:
                dot_rows(None, own, given, unit, source, columns, begin, end, blocks)
        starts = starts[plan.outputs :]


@compiled
def sparse_input_gradient(
    plan: Any, indices: Indices, weights: Array, given: Array, below: Array, blocks: tuple[int, ...]
) -> None:
    """Compute gradients of the inputs: (output, lane) -> (input, lane)."""
    own = weights[plan.first : plan.first + plan.count]
    rows, order = indices.back_rows[plan.columns :], indices.back_order[plan.columns :]
    starts = indices.back_starts[plan.back_starts :]
    for unit in range(plan.inputs):
        combine_rows(0.0, below, unit, own, order, given, rows, starts[unit], starts[unit + 1], blocks)
    for _ in range(1, plan.back_tiles):
        starts = starts[plan.inputs :]
        for unit in range(plan.inputs):
            begin, end = starts[unit], starts[unit + 1]
            if end > begin:
                combine_rows(None, below, unit, own, order, given, rows, begin, end, blocks)


@compiled
def multiply_dense(plan: Any, weights: Array, source: Array, out: Array) -> None:
    """Compute outputs from inputs and all weights, by the BLAS library."""
    matrix = weights[plan.first : plan.first + plan.count].reshape(plan.outputs, plan.inputs)
    np.dot(matrix, source[: plan.inputs], out)
    if plan.bias >= 0:
        for unit in range(plan.outputs):
            for lane in range(out.shape[1]):
                out[unit, lane] += weights[plan.bias + unit]


@compiled
def dense_gradient(plan: Any, own: Array, source: Array, given: Array, is_first: bool) -> None:
    """Compute gradients of all weights."""
    if is_first:
        np.dot(given, source[: plan.inputs].T, own.reshape(plan.outputs, plan.inputs))
    else:
        part = np.dot(given, source[: plan.inputs].T).reshape(plan.count)
        for index in range(plan.count):
            own[index] += part[index]


@compiled
def dense_input_gradient(plan: Any, weights: Array, given: Array, below: Array) -> None:
    """Compute gradients of the inputs: (output, lane) -> (input, lane)."""
    matrix = weights[plan.first : plan.first + plan.count].reshape(plan.outputs, plan.inputs)
    np.dot(matrix.T, given, below)


@compiled
def bias_gradient(plan: Any, gradients: Array, given: Array, is_first: bool) -> None:
    """Compute gradients of a layer's bias: sums of rows."""
    for unit in range(plan.outputs):
        total = given.dtype.type(0)
        for lane in range(given.shape[1]):
            total += given[unit, lane]
        gradients[plan.bias + unit] = total if is_first else gradients[plan.bias + unit] + total
