"""One network with convolutions as flat arrays, and its way through compiled code."""

from typing import Any

import numpy as np
import torch

from lth.data.images import as_images
from lth.sparsity.types import Masks, State
from lth.training.engines.sparse import trunk_steps
from lth.training.engines.sparse.arrays import Array, aligned_zeros
from lth.training.engines.sparse.buffers import Buffers
from lth.training.engines.sparse.chain import Chain
from lth.training.engines.sparse.examples import Examples
from lth.training.engines.sparse.flat import FlatValues, lanes_of, without_dropout
from lth.training.engines.sparse.image_examples import ImageExamples
from lth.training.engines.sparse.layout import LAYOUT, NetworkLayout, layout_of
from lth.training.engines.sparse.trunk import LANES, Shape, TrunkLayout, shapes_of, trunk_layout_of
from lth.training.engines.sparse.update_rule import UpdateRule

AT_ONCE = 1024
"""Images that are taken from a data set at a time, and passed to compiled code."""


class TrunkNetwork(FlatValues):
    """A chain of convolutions and linear layers in training.

    Args:
        chain: the network.
        start: its parameters.
        masks: True where a parameter is trained.
        rule: the optimizer; decides which moments there are.
        batch: examples of a step.
        examples: what it trains on.
    """

    def __init__(
        self, chain: Chain, start: State, masks: Masks, rule: UpdateRule, batch: int, examples: ImageExamples
    ) -> None:
        images = shape_of(examples, makes_images=chain.makes_images)
        _check_features(chain, start, images)
        head = layout_of(chain.layers, start, masks, None)
        trunk = trunk_layout_of(chain.convolutions, start, masks, head.live_inputs, images, head.size)
        self.layouts, self.indices = head.layouts, head.indices
        self.moved = np.concatenate([_moved(trunk), head.layouts])
        super().__init__(trunk.orders | head.places, trunk.end, self.moved, start, masks, rule, examples.dtype)
        self.batch, self.makes_images = batch, chain.makes_images
        self.layouts_without_dropout = without_dropout(self.layouts)
        lanes = lanes_of(batch)
        self.blocks = (0,) * (lanes // 16)
        self.buffers = _buffers(head, lanes, examples.dtype)
        self.trunk = _trunk(trunk, len(head.live_inputs), lanes, examples.dtype)
        self.nothing = _no_examples(examples.dtype)

    def train(self, examples: ImageExamples, order: Array, rates: Array, updates: int, loss: int, seed: int) -> Array:
        """Do one step for each learning rate; see `trunk_steps.train_trunk_steps`."""
        steps = max(1, AT_ONCE // self.batch)
        losses = []
        for done in range(0, len(rates), steps):
            chosen = order[done * self.batch : (done + steps) * self.batch]
            losses.append(
                trunk_steps.train_trunk_steps(
                    self.trunk,
                    self.moved,
                    self.layouts,
                    self.indices,
                    self.buffers,
                    self.values,
                    self.nothing,
                    examples.take(chosen, makes_images=self.makes_images),
                    examples.labels[chosen],
                    self.batch,
                    rates[done : done + steps],
                    updates + done,
                    self.rule,
                    loss,
                    seed + done,
                    self.blocks,
                )
            )
        return np.concatenate(losses)

    def evaluate(self, examples: ImageExamples, loss: int, correct: Array) -> float:
        """Return the sum of the losses; see `steps.evaluate`."""
        total = 0.0
        for begin in range(0, len(examples.labels), AT_ONCE):
            chosen = np.arange(begin, min(begin + AT_ONCE, len(examples.labels)))
            total += trunk_steps.evaluate_trunk(
                self.trunk,
                self.layouts_without_dropout,
                self.indices,
                self.buffers,
                self.values.weights,
                self.nothing,
                examples.take(chosen, makes_images=self.makes_images),
                examples.labels[chosen],
                loss,
                correct,
                self.blocks,
            )
        return total

    @property
    def num_bytes(self) -> int:
        """Memory of the network itself: values, moments, gradients and indices; without the buffers of a batch."""
        return sum(array.nbytes for array in (*self.values, *self.indices, *self.trunk.places, self.trunk.sums))


def shape_of(examples: ImageExamples, *, makes_images: bool) -> Shape:
    """Return what the first convolution is given.

    Raises:
        ValueError: if the examples are no images.
    """
    shape = examples.shape
    if makes_images and len(shape) in (2, 3):
        shape = tuple(as_images(torch.empty(1, *shape, device="meta")).shape[1:])
    if len(shape) != 3:
        raise ValueError(
            f"examples of shape {examples.shape} are no images: (channel, height, width) is needed. Use another model, "
            "or reshape the data"
        )
    return Shape(*shape)


def _check_features(chain: Chain, start: State, images: Shape) -> None:
    """Check that the first linear layer fits: compiled code checks no bounds."""
    features = shapes_of(chain.convolutions, start, images)[-1]
    given, taken = int(np.prod(features)), start[chain.layers[0].weight].shape[1]
    if given != taken:
        raise ValueError(
            f"{chain.layers[0].weight} takes {taken} inputs and is given {given} by images of "
            f"{' x '.join(map(str, images))} (channels, height, width): choose a model for this input shape"
        )


def _moved(trunk: TrunkLayout) -> Array:
    """Return the convolutions as the optimizer sees them."""
    moved = np.zeros(len(trunk.convolutions), LAYOUT)
    for name in ("first", "outputs", "bias"):
        moved[name] = trunk.convolutions[name]
    ends = [*trunk.convolutions["first"][1:], trunk.end]
    has_bias = trunk.convolutions["bias"] >= 0
    moved["count"] = ends - trunk.convolutions["first"] - np.where(has_bias, trunk.convolutions["outputs"], 0)
    moved["is_masked"] = trunk.is_masked
    return moved


def _buffers(head: NetworkLayout, lanes: int, dtype: Any) -> Buffers:
    return Buffers(
        inputs=aligned_zeros((len(head.live_inputs), lanes), dtype),
        units=aligned_zeros((head.units, lanes), dtype),
        gradients=aligned_zeros((head.units, lanes), dtype),
        input_row=np.zeros(0, np.uint32),
        wide=aligned_zeros((lanes, 0), dtype),
        batch_starts=np.zeros(0, np.int64),
        batch_rows=np.zeros(0, np.uint32),
        batch_values=np.zeros(0, dtype),
    )


def _trunk(layout: TrunkLayout, features: int, lanes: int, dtype: Any) -> trunk_steps.Trunk:
    return trunk_steps.Trunk(
        layout.convolutions,
        layout.places,
        activations=aligned_zeros((lanes // LANES, layout.size * LANES), dtype),
        gradients=aligned_zeros((layout.size * LANES,), dtype),
        sums=aligned_zeros((len(layout.places.places) * LANES,), dtype),
        below=aligned_zeros((features, lanes), dtype),
    )


def _no_examples(dtype: Any) -> Examples:
    """Return what linear layers on convolutions are given for examples, and have no use for."""
    numbers = np.zeros(1, np.int64)
    return Examples(numbers, np.zeros((1, 1), np.int64), np.zeros(0, np.uint16), np.zeros(0, dtype), numbers[:0], 0)
