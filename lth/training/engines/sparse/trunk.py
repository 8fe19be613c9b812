"""Where the surviving weights of convolutions lie, and what they work on.

Sixteen examples lie innermost: an activation is (part of the batch, channel, row, column, 16), flat, with a border of
zeros around each image, so that padding needs no branch and a weight's place is one number. Rows are made longer until
a run fits in without rest; what lies beyond the image is zero too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lth.sparsity.types import Masks, State
from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.chain import Convolution
from lth.training.engines.sparse.layout import mask_of

LANES = 16
"""Examples side by side."""

RUN = (0,) * 8
"""As many columns in one run as this has elements: the sums of a run take eight registers of AVX-512."""

TILE, TILE_ENTRIES = 16, 8
"""Input channels that a product stays with, and more until an output channel has so many weights in them."""

CONVOLUTION = np.dtype(
    [
        ("inputs", np.int64),
        ("outputs", np.int64),
        ("height", np.int64),
        ("width", np.int64),
        ("columns", np.int64),  # the width made a multiple of a run
        ("is_pooled", np.bool_),
        ("first", np.int64),  # where its weights begin among the network's values
        ("bias", np.int64),  # where its bias begins; -1 without one
        ("source", np.int64),  # where its inputs begin among a part's activations, in vectors
        ("out", np.int64),  # where its outputs begin
        ("entry", np.int64),  # the first of its entries
        ("entries", np.int64),  # weights that are computed with
        ("starts", np.int64),  # where its part of the index arrays begins
        ("back_starts", np.int64),
        ("tiles", np.int64),  # of inputs
        ("back_tiles", np.int64),  # of outputs
    ],
    align=True,
)
"""One convolution as compiled code sees it."""


class Shape(NamedTuple):
    """Images of a number of channels."""

    channels: int
    height: int
    width: int

    @property
    def columns(self) -> int:
        """Columns of a row, without its border."""
        return -(-self.width // len(RUN)) * len(RUN)

    @property
    def size(self) -> int:
        """Vectors of an image with its borders."""
        return self.channels * (self.height + 2) * (self.columns + 2)

    @property
    def halved(self) -> "Shape":
        return Shape(self.channels, self.height // 2, self.width // 2)


class Places(NamedTuple):
    """What the products of convolutions follow; the parts of all one after the other, each counting from zero.

    Attributes:
        places: (entry,) unsigned; where a weight's first run of inputs begins, in vectors, by tile and output.
        starts: (tile * outputs + 1,) first entry of each output in each tile.
        back_order, back_places, back_starts: the same for the gradient by the inputs, outputs and inputs exchanged, and
            where such an entry lies in the forward order.
    """

    places: Array
    starts: Array
    back_order: Array
    back_places: Array
    back_starts: Array


class TrunkLayout(NamedTuple):
    """All convolutions of a network.

    Attributes:
        convolutions: (convolution,) of CONVOLUTION.
        places: of all of them.
        orders: by parameter name, the first of its values and, for each, its index in the flattened parameter.
        is_masked: (convolution,) whether some of its values are frozen.
        end: number of values of the network, with these.
        size: vectors of one part's activations.
        images, features: what goes in, and what comes out and is flattened.
    """

    convolutions: Array
    places: Places
    orders: dict[str, tuple[int, Array]]
    is_masked: Array
    end: int
    size: int
    images: Shape
    features: Shape


def trunk_layout_of(
    steps: Sequence[Convolution], start: State, masks: Masks, live_features: Array, images: Shape, first: int
) -> TrunkLayout:
    """Return what of the convolutions is computed, and where it lies; see `layout_of`.

    Args:
        steps: the convolutions, first to last.
        start: their parameters.
        masks: True where a parameter is trained; parameters without a mask are dense.
        live_features: (feature,) True where an output of the network depends on it.
        images: what the first takes.
        first: the place of their first value among the network's.
    """
    shapes = shapes_of(steps, start, images)
    by_step = _live_entries(steps, start, masks, live_features)
    convolutions = np.zeros(len(steps), CONVOLUTION)
    parts: list[Places] = []
    orders: dict[str, tuple[int, Array]] = {}
    is_masked = np.zeros(len(steps), bool)
    size = images.size
    for index, (step, (entries, live)) in enumerate(zip(steps, by_step, strict=True)):
        own, given = convolutions[index], shapes[index]
        own["outputs"], own["inputs"] = live.shape[:2]
        own["height"], own["width"], own["columns"] = given.height, given.width, given.columns
        own["is_pooled"] = step.is_pooled
        own["source"] = size - given.size
        own["out"], size = size, size + given._replace(channels=len(live)).size
        if step.is_pooled and index + 1 < len(steps):
            size += shapes[index + 1].size  # the last one's go where linear layers read them
        own["entry"], own["entries"] = sum(len(each.places) for each in parts), live.sum()
        own["starts"], own["back_starts"] = (
            sum(len(getattr(each, name)) for each in parts) for name in ("starts", "back_starts")
        )
        order, places, own["tiles"], own["back_tiles"] = _order_of(entries, live, given)
        parts.append(places)
        own["first"], orders[step.weight], first = first, (first, order), first + len(order)
        is_masked[index] = not mask_of(step.weight, start, masks).reshape(-1)[order].all()
        own["bias"] = -1
        if step.bias is not None:
            own["bias"], orders[step.bias], first = first, (first, np.arange(len(live))), first + len(live)
            is_masked[index] |= not mask_of(step.bias, start, masks).all()
    all_places = Places(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    return TrunkLayout(convolutions, all_places, orders, is_masked, first, size, images, shapes[-1])


def shapes_of(steps: Sequence[Convolution], start: State, images: Shape) -> list[Shape]:
    """Return what each convolution takes, and what the last gives, after its pooling.

    Raises:
        ValueError: if one does not fit the one before: compiled code checks no bounds.
    """
    shapes = [images]
    for step in steps:
        outputs, inputs = start[step.weight].shape[:2]
        if inputs != shapes[-1].channels or min(shapes[-1]) < 1:
            raise ValueError(
                f"{step.weight} takes {inputs} channels and is given {' x '.join(map(str, shapes[-1]))} (channels, "
                "height, width): choose a model for this input shape"
            )
        given = shapes[-1]._replace(channels=outputs)
        shapes.append(given.halved if step.is_pooled else given)
    return shapes


def _live_entries(
    steps: Sequence[Convolution], start: State, masks: Masks, live_features: Array
) -> list[tuple[Array, Array]]:
    """Return the entries of each convolution, and those that lead to an output of the network."""
    by_step: list[tuple[Array, Array]] = []
    alive: Array = np.asarray(live_features.reshape(len(start[steps[-1].weight]), -1).any(axis=1))
    for step in reversed(steps):
        entries = mask_of(step.weight, start, masks) | (start[step.weight].numpy() != 0)
        live = entries & alive[:, None, None, None]
        by_step.append((entries, live))
        alive = live.any((0, 2, 3))
    return by_step[::-1]


def _order_of(entries: Array, live: Array, given: Shape) -> tuple[Array, Places, int, int]:
    """Return a convolution's values in order as indices of its flat weight, its index arrays, its numbers of tiles."""
    outputs, inputs = live.shape[:2]
    pitch = given.columns + 2
    plane = (given.height + 2) * pitch
    output, channel, row, column = np.nonzero(live)
    order, starts, tiles = _in_tiles(output, channel, outputs, inputs)
    output, channel, row, column = (each[order] for each in (output, channel, row, column))
    back, back_starts, back_tiles = _in_tiles(channel, output, inputs, outputs)
    places = channel * plane + row * pitch + column
    back_places: Array = output * plane + (2 - row) * pitch + 2 - column
    flat = np.ravel_multi_index((output, channel, row, column), live.shape)
    values = np.concatenate([flat, np.flatnonzero(entries & ~live)])
    back_places = back_places[back].astype(np.uint32)
    own = Places(places.astype(np.uint32), starts, back.astype(np.uint32), back_places, back_starts)
    return values, own, tiles, back_tiles


def _in_tiles(to: Array, channel: Array, outputs: int, inputs: int) -> tuple[Array, Array, int]:
    """Return the order by (tile of channels, to), the first entry of each, and the number of tiles."""
    wanted = max(TILE, round(TILE_ENTRIES * inputs * outputs / max(1, len(to))))
    tile = inputs if 2 * wanted > inputs else wanted
    tiles = -(-inputs // tile)
    group = channel // tile * outputs + to
    counts = np.bincount(group, minlength=tiles * outputs)
    return np.lexsort((channel, group)), np.concatenate([[0], np.cumsum(counts)]), tiles
