"""A first layer whose sparse factor are the examples: their nonzero inputs times a dense matrix of weights.

The weights lie in blocks of UNITS outputs, input by input, so that a nonzero input is a few vector operations on a row.
"""

from typing import Any

from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.buffers import Buffers
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.examples import Examples
from lth.training.engines.sparse.layout import UNITS
from lth.training.engines.sparse.rows import combine_rows

BLOCKS_OF_UNITS = (0,) * (UNITS // 16)


@compiled
def multiply_inputs(
    layout: Any, buffers: Buffers, weights: Array, examples: Examples, chosen: Array, out: Array
) -> None:
    """Compute the first layer from each example's nonzero inputs: by blocks of units, tile by tile of inputs."""
    wide = buffers.wide
    for block in range(layout.count // (layout.inputs * UNITS)):
        first = layout.first + block * layout.inputs * UNITS
        matrix = weights[first : first + layout.inputs * UNITS].reshape(layout.inputs, UNITS)
        units = min(UNITS, layout.outputs - block * UNITS)
        wide[:] = 0
        if layout.bias >= 0:
            for lane in range(wide.shape[0]):
                for unit in range(units):
                    wide[lane, unit] = weights[layout.bias + block * UNITS + unit]
        for tile in range(examples.tiles.shape[1] - 1):
            for lane in range(len(chosen)):
                begin, end = examples.tiles[chosen[lane], tile], examples.tiles[chosen[lane], tile + 1]
                if end > begin:
                    combine_rows(
                        None, wide, lane, examples.values, None, matrix, examples.columns, begin, end, BLOCKS_OF_UNITS
                    )
        part = out[block * UNITS : block * UNITS + units]
        for unit in range(units):
            for lane in range(wide.shape[0]):
                part[unit, lane] = wide[lane, unit]


@compiled
def inputs_gradient(
    layout: Any, buffers: Buffers, own: Array, examples: Examples, chosen: Array, given: Array, is_first: bool
) -> None:
    """Compute the gradient of the first layer's weights from the nonzero inputs, input by input."""
    starts, rows, inputs = buffers.batch_starts, buffers.batch_rows, buffers.batch_values
    starts[:] = 0
    for lane in range(len(chosen)):
        for index in range(examples.starts[chosen[lane]], examples.starts[chosen[lane] + 1]):
            starts[examples.columns[index] + 1] += 1
    for column in range(layout.inputs):
        starts[column + 1] += starts[column]
    for lane in range(len(chosen)):  # moves each start to the next, which is where it ends
        for index in range(examples.starts[chosen[lane]], examples.starts[chosen[lane] + 1]):
            place = starts[examples.columns[index]]
            rows[place], inputs[place] = lane, examples.values[index]
            starts[examples.columns[index]] = place + 1
    wide = buffers.wide
    for block in range(layout.count // (layout.inputs * UNITS)):
        units = min(UNITS, layout.outputs - block * UNITS)
        part = given[block * UNITS : block * UNITS + units]
        wide[:, units:] = 0
        for lane in range(wide.shape[0]):
            for unit in range(units):
                wide[lane, unit] = part[unit, lane]
        matrix = own[block * layout.inputs * UNITS : (block + 1) * layout.inputs * UNITS].reshape(layout.inputs, UNITS)
        begin = 0
        for column in range(layout.inputs):
            end = starts[column]
            if is_first:
                combine_rows(0.0, matrix, column, inputs, None, wide, rows, begin, end, BLOCKS_OF_UNITS)
            elif end > begin:
                combine_rows(None, matrix, column, inputs, None, wide, rows, begin, end, BLOCKS_OF_UNITS)
            begin = end
