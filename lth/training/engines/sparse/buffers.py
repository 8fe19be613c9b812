"""What compiled code works on: a network's values and the memory that a batch needs."""

from typing import NamedTuple

from lth.training.engines.sparse.arrays import Array


class Values(NamedTuple):
    """What an optimizer moves, flat; see `layout.py` for the order.

    Attributes:
        weights: parameters.
        gradients: of the loss.
        first: momentum, or Adam's first moments; empty without.
        second: Adam's second moments; empty without.
        trained: 1 where a value is trained, 0 where it is frozen; empty if all are.
    """

    weights: Array
    gradients: Array
    first: Array
    second: Array
    trained: Array


class Buffers(NamedTuple):
    """Working memory of one network.

    Attributes:
        inputs: (input, lanes), and one more row for those on which nothing depends.
        units: (unit, lanes) outputs of all layers after activation and dropout.
        gradients: (unit, lanes) of the loss, first by these, then by what went into the activation.
        input_row: (input,) row of each input; unsigned.
        wide: (lanes, UNITS) outputs of some units, example by example.
        batch_starts: (input + 1,) nonzero inputs of the batch, input by input.
        batch_rows: (nonzero,) example in the batch.
        batch_values: (nonzero,) value.
    """

    inputs: Array
    units: Array
    gradients: Array
    input_row: Array
    wide: Array
    batch_starts: Array
    batch_rows: Array
    batch_values: Array
