"""Where each surviving weight lies: the flat order of a network's values, and the indices that products follow."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from lth.sparsity.types import Masks, State
from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.chain import ACTIVATIONS, Layer

TILE = 96
"""Input rows that a product stays with before it goes on: 96 rows of 64 floats are 24 KiB, which a first-level cache
holds."""

TILE_ENTRIES = 4
"""A tile is made longer until a row has so many entries in it: starting a row costs as much as a few entries."""

UNITS = 64
"""Output units side by side where the inputs are the sparse factor."""


class Kind(IntEnum):
    """How a layer computes its products."""

    SPARSE = 0
    """Surviving weights times dense activations."""
    DENSE = 1
    """A matrix product of the BLAS library."""
    INPUTS = 2
    """The nonzero inputs of the examples times a dense matrix of weights; for a first layer."""


COST = {Kind.SPARSE: 2.1, Kind.DENSE: 1.55, Kind.INPUTS: 2.3}
"""Nanoseconds of a product with 64 examples: by surviving weight, by weight, by weight and share of nonzero inputs.

Measured in one thread of an AVX2 processor (EPYC Milan) on the layers of LeNet-300-100; only their ratios matter. They
are constants, so that the same network is computed in the same way every time.
"""

UPDATE_COST = 0.18
"""Nanoseconds of an Adam update by weight, shared out over the two products of a first layer; measured with the above.
"""

LAYOUT = np.dtype(
    [
        ("kind", np.int64),
        ("inputs", np.int64),
        ("outputs", np.int64),
        ("first", np.int64),  # where its weights begin among the network's values
        ("count", np.int64),  # how many values they take
        ("bias", np.int64),  # where its bias begins; -1 without one
        ("unit", np.int64),  # which of the network's units is its first output
        ("activation", np.int64),  # position in ACTIVATION_NAMES
        ("dropout", np.float64),
        ("is_masked", np.bool_),  # whether some of its values are frozen
        ("tiles", np.int64),  # of inputs
        ("back_tiles", np.int64),  # of outputs
        ("columns", np.int64),  # where its part of the index arrays begins
        ("starts", np.int64),
        ("back_starts", np.int64),
    ],
    align=True,
)
"""One layer as compiled code sees it."""

ACTIVATION_NAMES = ("identity", *dict.fromkeys(ACTIVATIONS.values()))
"""Identity, ReLU, tanh."""


class Indices(NamedTuple):
    """What the products of sparse layers follow; the parts of all layers one after the other, each counting from zero.

    Attributes:
        columns: (entry,) input of each live entry, sorted by (tile, output, input).
        starts: (tile * outputs + 1,) first entry of each output in each tile.
        back_rows: (entry,) output of each live entry, sorted by (tile, input, output).
        back_order: (entry,) where such an entry lies in the forward order.
        back_starts: (tile * inputs + 1,) first of them for each input in each tile.
    """

    columns: Array
    starts: Array
    back_rows: Array
    back_order: Array
    back_starts: Array


class NetworkLayout(NamedTuple):
    """All layers of a network.

    Attributes:
        layouts: (layer,) of LAYOUT.
        indices: of all layers.
        places: by parameter name, the first of its values and, for each, its index in the flattened parameter: -1 for
            padding.
        size: number of values.
        units: number of outputs of all layers.
        live_inputs: (input,) True where an output of the network depends on an input of it.
    """

    layouts: Array
    indices: Indices
    places: dict[str, tuple[int, Array]]
    size: int
    units: int
    live_inputs: Array


def layout_of(layers: Sequence[Layer], start: State, masks: Masks, input_share: float | None) -> NetworkLayout:
    """Return what of a network is computed, and how.

    A weight is an entry where it is trained or not zero: pruned weights that are frozen at another value take part.
    Entries that lead to units on which no output depends are updated, but not computed with.

    Args:
        layers: first to last.
        start: their parameters.
        masks: True where a parameter is trained; parameters without a mask are dense.
        input_share: share of nonzero inputs, over all training examples; None where the inputs are computed, and need
            gradients.
    """
    by_layer, live_inputs = _live_entries(layers, start, masks)
    layouts = np.zeros(len(layers), LAYOUT)
    parts: list[Indices] = []
    places: dict[str, tuple[int, Array]] = {}
    size = units = 0
    for index, (layer, (entries, live)) in enumerate(zip(layers, by_layer, strict=True)):
        layout = layouts[index]
        layout["outputs"], layout["inputs"] = live.shape
        layout["kind"] = _kind(live.mean(), input_share if index == 0 else None)
        layout["activation"], layout["dropout"] = ACTIVATION_NAMES.index(layer.activation), layer.dropout
        layout["unit"], units = units, units + len(live)
        for part in ("columns", "starts", "back_starts"):
            layout[part] = sum(len(getattr(each, part)) for each in parts)
        order, own, layout["tiles"], layout["back_tiles"] = _order_of(Kind(layout["kind"]), entries, live)
        parts.append(own)
        layout["first"], layout["count"] = size, len(order)
        places[layer.weight], size = (size, order), size + len(order)
        layout["is_masked"] = not mask_of(layer.weight, start, masks).reshape(-1)[order[order >= 0]].all()
        layout["bias"] = -1
        if layer.bias is not None:
            layout["bias"], layout["is_masked"] = (
                size,
                layout["is_masked"] or not mask_of(layer.bias, start, masks).all(),
            )
            places[layer.bias], size = (size, np.arange(len(live))), size + len(live)
    indices = Indices(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    return NetworkLayout(layouts, indices, places, size, units, live_inputs)


def _live_entries(layers: Sequence[Layer], start: State, masks: Masks) -> tuple[list[tuple[Array, Array]], Array]:
    """Return the entries of each layer, and those that are live; and which inputs of the network are."""
    alive = np.ones(start[layers[-1].weight].shape[0], bool)
    by_layer: list[tuple[Array, Array]] = []
    for layer in reversed(layers):
        entries = mask_of(layer.weight, start, masks) | (start[layer.weight].numpy() != 0)
        live = entries & alive[:, None]
        by_layer.append((entries, live))
        alive = live.any(0)
    return by_layer[::-1], alive


def mask_of(name: str, start: State, masks: Masks) -> Array:
    mask = masks.get(name)
    return np.ones(tuple(start[name].shape), bool) if mask is None else mask.numpy()


def _kind(density: float, input_share: float | None) -> Kind:
    """Return the kind that should be fastest."""
    costs = {
        Kind.SPARSE: density * (COST[Kind.SPARSE] + UPDATE_COST),
        Kind.DENSE: COST[Kind.DENSE] + UPDATE_COST,
    }
    if input_share is not None:
        costs[Kind.INPUTS] = input_share * COST[Kind.INPUTS] + UPDATE_COST
    return min(costs, key=lambda kind: costs[kind])


def _order_of(kind: Kind, entries: Array, live: Array) -> tuple[Array, Indices, int, int]:
    """Return a layer's values in order as indices of its flat weight, its index arrays, and its numbers of tiles."""
    outputs, inputs = live.shape
    unsigned, numbers = np.zeros(0, np.uint32), np.zeros(0, np.int64)
    nothing = Indices(unsigned, numbers, unsigned, unsigned, numbers)
    if kind is Kind.DENSE:
        return np.arange(live.size), nothing, 0, 0
    if kind is Kind.INPUTS:  # (block of units, input, unit in the block)
        blocks = -(-outputs // UNITS)
        padded = np.full((blocks * UNITS, inputs), -1)
        padded[:outputs] = np.arange(live.size).reshape(outputs, inputs)
        return padded.reshape(blocks, UNITS, inputs).transpose(0, 2, 1).reshape(-1), nothing, 0, 0
    rows, columns = np.nonzero(live)
    forward, starts, tiles = _in_tiles(rows, columns, live.shape)
    rows, columns = rows[forward], columns[forward]
    back, back_starts, back_tiles = _in_tiles(columns, rows, live.T.shape)
    idle_rows, idle_columns = np.nonzero(entries & ~live)
    order = np.concatenate([rows * inputs + columns, idle_rows * inputs + idle_columns])
    unsigned_columns, back_rows, back_order = (each.astype(np.uint32) for each in (columns, rows[back], back))
    return order, Indices(unsigned_columns, starts, back_rows, back_order, back_starts), tiles, back_tiles


def _in_tiles(rows: Array, columns: Array, shape: tuple[int, int]) -> tuple[Array, Array, int]:
    """Sort entries by (tile of columns, row, column); return the order, the first of each row in a tile, and tiles."""
    tile = _tile(len(rows) / (shape[0] * shape[1]), shape[1])
    order = np.lexsort((columns, rows, columns // tile))
    tiles = -(-shape[1] // tile)
    counts = np.bincount(columns // tile * shape[0] + rows, minlength=tiles * shape[0])
    return order, np.concatenate([[0], np.cumsum(counts)]), tiles


def _tile(density: float, inputs: int) -> int:
    """Return inputs of one tile."""
    wanted = max(TILE, round(TILE_ENTRIES / max(density, 1e-9)))
    return inputs if 2 * wanted > inputs else wanted
