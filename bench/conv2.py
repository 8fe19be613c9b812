"""Conv-2 of Frankle & Carbin 2019, and a whole training step of it on surviving weights: an experiment.

Convolutions, ReLU and pooling are the kernels beside this file; linear layers, loss and Adam are the sparse engine's.
"""

from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from bench.convolution_kernels import LANES, RUN, compiled, convolution, input_gradient, multiply, weight_gradient
from bench.convolution_pooling import add_channels, add_up, gather, pool, relu, unpool, unrelu
from lth.config import Training
from lth.sparsity import Masks, Weights
from lth.training.engines.sparse import steps
from lth.training.engines.sparse.arrays import Array, aligned_zeros
from lth.training.engines.sparse.buffers import Buffers, Values
from lth.training.engines.sparse.examples import Examples
from lth.training.engines.sparse.layout import LAYOUT, Indices, Kind, layout_of
from lth.training.engines.sparse.losses import CROSS_ENTROPY, losses_and_gradients
from lth.training.engines.sparse.mlp import Layer
from lth.training.engines.sparse.products import sparse_input_gradient
from lth.training.engines.sparse.update_rule import update_rule_of
from lth.training.engines.sparse.updates import update

CONVOLUTIONS = ("conv1", "conv2")
LINEAR = [
    Layer("linear1.weight", "linear1.bias", "relu"),
    Layer("linear2.weight", "linear2.bias", "relu"),
    Layer("output.weight", "output.bias"),
]


def conv2(width: int = 64, size: int = 32, hidden: int = 256) -> nn.Module:
    """Two convolutions, a pooling, three linear layers; for images (3, size, size)."""
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, width, 3, padding=1),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(width, width, 3, padding=1),
        "relu2": nn.ReLU(),
        "pool": nn.MaxPool2d(2),
        "flatten": nn.Flatten(),
        "linear1": nn.Linear(width * size**2 // 4, hidden),
        "relu3": nn.ReLU(),
        "linear2": nn.Linear(hidden, hidden),
        "relu4": nn.ReLU(),
        "output": nn.Linear(hidden, 10),
    }
    return nn.Sequential(OrderedDict(layers))


class SparseConv2:
    """Conv-2 in training, on its surviving weights.

    Args:
        start: the parameters.
        masks: True where a weight is trained; one for each weight.
        images: (example, 3, size, size) float32.
        labels: (example,).
        training: optimizer, learning rate and batch size.
    """

    def __init__(self, start: Weights, masks: Masks, images: Array, labels: Array, training: Training) -> None:
        self.images, self.labels = images, labels
        self.batch, self.rate, self.rule = training.batch_size, training.lr, update_rule_of(training)
        self.parts, size = -(-self.batch // LANES), images.shape[-1]
        self.convolutions = [convolution(masks[f"{name}.weight"].numpy(), size) for name in CONVOLUTIONS]
        network = layout_of(LINEAR, start, masks, 1.0)
        if any(network.layouts["kind"] != Kind.SPARSE):
            raise ValueError("a linear layer is too dense to be multiplied weight by weight: take a lower density")
        self.linear, self.indices = network.layouts, network.indices
        self.places = dict(network.places)
        self.layouts = np.concatenate([self.linear, self._place(network.size)])
        count = sum(len(order) for _, order in self.places.values())
        weights, gradients, first_moments, second_moments = (aligned_zeros((count,), np.float32) for _ in range(4))
        self.values = Values(weights, gradients, first_moments, second_moments, trained=aligned_zeros((0,), np.float32))
        for name, (first, order) in self.places.items():
            self.values.weights[first : first + len(order)] = start[name].reshape(-1).numpy()[order]
        self._make_buffers(network.units)
        self.updates = 0

    def _place(self, size: int) -> Array:
        """Give the convolutions' values their places behind those of the linear layers; return their layouts."""
        layouts = np.zeros(len(self.convolutions), LAYOUT)
        for layout, name, own in zip(layouts, CONVOLUTIONS, self.convolutions, strict=True):
            layout["first"], layout["count"], layout["outputs"] = size, len(own.weights), own.outputs
            layout["bias"] = size + len(own.weights)
            self.places[f"{name}.weight"] = (size, own.weights)
            self.places[f"{name}.bias"] = (size + len(own.weights), np.arange(own.outputs))
            size += len(own.weights) + own.outputs
        return layouts

    def _make_buffers(self, units: int) -> None:
        first, second = self.convolutions
        lanes, rows = self.parts * LANES, int(self.linear[0]["inputs"])
        self.inputs = first.activations(first.inputs, self.parts)
        self.hidden, self.outputs = (each.activations(each.outputs, self.parts) for each in (first, second))
        self.hidden_gradient, self.output_gradient = (each.activations(each.outputs, 1)[0] for each in (first, second))
        self.sums = [aligned_zeros((len(own.weights) * LANES,), np.float32) for own in self.convolutions]
        self.below = aligned_zeros((rows, lanes), np.float32)
        nothing = np.zeros(0, np.float32)
        self.buffers = Buffers(
            inputs=aligned_zeros((rows, lanes), np.float32),
            units=aligned_zeros((units, lanes), np.float32),
            gradients=aligned_zeros((units, lanes), np.float32),
            input_row=np.zeros(0, np.uint32),
            wide=np.zeros((0, 0), np.float32),
            batch_starts=np.zeros(0, np.int64),
            batch_rows=np.zeros(0, np.uint32),
            batch_values=nothing,
        )
        self.examples = Examples(
            np.zeros(1, np.int64), np.zeros((1, 1), np.int64), np.zeros(0, np.uint32), nothing, self.labels, rows
        )
        self.blocks = (0,) * self.parts

    def step(self, chosen: Array) -> float:
        """Do one optimizer step on these examples; return the mean loss before it."""
        key, values, buffers = np.uint64(0), self.values, self.buffers
        for part in range(self.parts):
            self._forward(part, chosen)
        steps.forward(self.linear, self.indices, buffers, values.weights, self.examples, chosen, key, self.blocks)
        loss = losses_and_gradients(self.linear, buffers, self.labels, chosen, self.batch, CROSS_ENTROPY)
        steps.backward(self.linear, self.indices, buffers, values, self.examples, chosen, True, key, self.blocks)
        _below(self.linear, self.indices, values.weights, buffers.gradients, self.below, self.blocks)
        for sums, name in zip(self.sums, CONVOLUTIONS, strict=True):
            sums[:] = 0
            self._part(values.gradients, f"{name}.bias")[:] = 0
        for part in range(self.parts):
            self._backward(part)
        for sums, name in zip(self.sums, CONVOLUTIONS, strict=True):
            add_up(sums, self._part(values.gradients, f"{name}.weight"))
        self.updates += 1
        update(self.layouts, values, self.rate, self.updates, self.rule)
        return loss / self.batch

    def _part(self, flat: Array, name: str) -> Array:
        first, order = self.places[name]
        return flat[first : first + len(order)]

    def _forward(self, part: int, chosen: Array) -> None:
        first, second = self.convolutions
        weights = [self._part(self.values.weights, f"{name}.weight") for name in CONVOLUTIONS]
        biases = [self._part(self.values.weights, f"{name}.bias") for name in CONVOLUTIONS]
        inputs, hidden, outputs = self.inputs[part], self.hidden[part], self.outputs[part]
        gather(first.size, self.images, chosen[part * LANES :], inputs)
        multiply(first, weights[0], biases[0], inputs, hidden, RUN)
        relu(hidden)
        multiply(second, weights[1], biases[1], hidden, outputs, RUN)
        pool(second, outputs, self.buffers.inputs, part)

    def _backward(self, part: int) -> None:
        (first, second), gradients = self.convolutions, self.values.gradients
        unpool(second, self.outputs[part], self.buffers.inputs, self.below, self.output_gradient, part)
        weight_gradient(second, self.sums[1], self.hidden[part], self.output_gradient, RUN)
        add_channels(self.output_gradient, self._part(gradients, "conv2.bias"))
        weights = self._part(self.values.weights, "conv2.weight")
        input_gradient(second, weights, self.output_gradient, self.hidden_gradient, RUN)
        unrelu(self.hidden[part], self.hidden_gradient)
        weight_gradient(first, self.sums[0], self.inputs[part], self.hidden_gradient, RUN)
        add_channels(self.hidden_gradient, self._part(gradients, "conv1.bias"))

    def weights(self, start: Weights) -> Weights:
        """Return the parameters, pruned weights as in `start`."""
        found = {name: value.clone() for name, value in start.items()}
        for name in self.places:
            _, order = self.places[name]
            found[name].view(-1)[torch.from_numpy(order)] = torch.from_numpy(self._part(self.values.weights, name))
        return found


@compiled
def _below(
    layouts: Array, indices: Indices, weights: Array, gradients: Array, below: Array, blocks: tuple[int, ...]
) -> None:
    """Compute gradients by what goes into the first linear layer."""
    sparse_input_gradient(layouts[0], indices, weights, gradients[: layouts[0].outputs], below, blocks)
