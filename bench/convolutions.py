"""Convolutions on their surviving weights, by density: layer by layer, and the whole training step of Conv-2."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits
from torch import Tensor

from bench.cases import Case, percent, training
from bench.loops import ours
from bench.ratio import Effort, Row, Way, take_turns, timed
from lth.data import from_arrays, split
from lth.lineage.executors import one_thread
from lth.models.conv_frankle import FrankleConv
from lth.sparsity import Masks, select
from lth.training.engines.sparse import Convolution
from lth.training.engines.sparse.arrays import aligned_zeros
from lth.training.engines.sparse.convolution import (
    add_weight_gradient,
    convolve,
    convolved_gradient,
    take_weight_gradient,
)
from lth.training.engines.sparse.trunk import LANES, RUN, Shape, trunk_layout_of

BATCH = 60
DENSITIES = (0.2, 0.1, 0.05, 0.02)


@dataclass(frozen=True, slots=True)
class LayerShape:
    """A convolution of 3 x 3 with a border of zeros, for images of size x size."""

    name: str
    inputs: int
    outputs: int
    size: int

    @property
    def is_first(self) -> bool:
        """Whether it takes images: it then needs no gradient by its inputs."""
        return self.inputs == 3


SHAPES = (
    LayerShape("Conv-2's first", 3, 64, 32),
    LayerShape("Conv-2's second", 64, 64, 32),
    LayerShape("ResNet-20, stage 1", 16, 16, 32),
    LayerShape("ResNet-20, stage 2", 32, 32, 16),
    LayerShape("ResNet-20, stage 3", 64, 64, 8),
)

FORMATS = {"channels-last": torch.channels_last, "contiguous": torch.contiguous_format}


def convolution_rows(effort: Effort) -> Iterator[Row]:
    """Milliseconds of forward pass and gradients of each layer, then of whole steps; masks are random.

    SparseProp is measured where it is installed. Its way over the batch takes batches that are multiples of 8 alone, so
    that it gets 64 examples, as many as our kernels compute.
    """
    shapes, densities = (SHAPES[-1:], DENSITIES[:1]) if effort.is_tiny else (SHAPES, DENSITIES)
    for shape in shapes:
        for density in densities:
            yield from _layer_rows(shape, density, effort)
    for density in densities if effort.is_tiny else (1.0, 0.7, 0.5, *densities):
        yield _step_row(density, effort)


def _layer_rows(shape: LayerShape, density: float, effort: Effort) -> Iterator[Row]:
    weight = layer_weight(shape, density)
    ways = {"sparse": sparse_layer(shape, weight)} | {name: dense_layer(shape, weight, name) for name in FORMATS}
    if find_spec("sparseprop") is not None:
        ways |= {f"SparseProp over {name}": sparseprop_layer(shape, weight, name) for name in ("batch", "columns")}
    times = take_turns(ways, effort)
    own = _milliseconds(times.pop("sparse"))
    for name, theirs in times.items():
        what = f"{shape.name} ({shape.inputs}-{shape.outputs}, {shape.size} x {shape.size}), {percent(density)}"
        labels = {"shape": shape.name, "density": density, "theirs": name}
        yield Row(f"{what}: surviving weights / {name}", "ms", own, _milliseconds(theirs), is_cost=True, labels=labels)


def _step_row(density: float, effort: Effort) -> Row:
    case = conv2_case(density, effort)
    ways = {name: ours(case, name) for name in ("sparse", "torch")}
    times = {name: _milliseconds(each) for name, each in take_turns(ways, effort).items()}
    what = f"Conv-2, {percent(density)}: whole step by the sparse engine / torch engine"
    return Row(what, "ms", times["sparse"], times["torch"], is_cost=True, labels={"density": density})


def _milliseconds(seconds: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(1000 * each for each in seconds)


def layer_weight(shape: LayerShape, density: float) -> Tensor:
    """Return a random weight of this density, (output, input, 3, 3)."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape.outputs, shape.inputs, 3, 3, generator=generator)
    return weight * _random_mask(weight, density)


def _random_mask(weight: Tensor, density: float) -> Tensor:
    draws = torch.rand(weight.shape, generator=torch.Generator().manual_seed(1))
    return select({"": draws}, {}, density=density, key=torch.abs)[""]


def sparse_layer(shape: LayerShape, weight: Tensor) -> Way:
    """Our kernels, on activations that lie as they want them, in as many lanes as the batch needs."""
    step, images = Convolution("weight", None, has_relu=True), Shape(shape.inputs, shape.size, shape.size)
    live = np.ones(shape.outputs * shape.size**2, bool)
    layout = trunk_layout_of([step], {"weight": weight}, {"weight": weight != 0}, live, images, 0)
    (own,), where, parts = layout.convolutions, layout.places, -(-BATCH // LANES)
    draw = np.random.default_rng(0)
    activations, given = (aligned_zeros((parts, layout.size * LANES), np.float32) for _ in range(2))
    begin = images.size * LANES
    for flat, channels in ((activations[:, :begin], shape.inputs), (given[:, begin:], shape.outputs)):
        inner = flat.reshape(parts, channels, shape.size + 2, shape.size + 2, LANES)[:, :, 1:-1, 1:-1]
        inner[:] = draw.standard_normal(inner.shape)
    values = weight.reshape(-1).numpy()[layout.orders["weight"][1]]
    gradients, sums = np.zeros_like(values), np.zeros(len(values) * LANES, np.float32)

    def layer() -> None:
        sums[:] = 0
        for part in range(parts):
            convolve(own, where, values, activations[part, :begin], activations[part, begin:], RUN)
        for part in range(parts):
            add_weight_gradient(own, where, sums, activations[part, :begin], given[part, begin:], RUN)
            if not shape.is_first:
                convolved_gradient(own, where, values, given[part, begin:], given[part, :begin], RUN)
        take_weight_gradient(own, sums, gradients)

    return _in_one_thread(layer)


def dense_layer(shape: LayerShape, weight: Tensor, layout: str) -> Way:
    """PyTorch's convolution with all weights, in one of two memory layouts."""
    source, given = (each.contiguous(memory_format=FORMATS[layout]) for each in _activations(shape, BATCH))
    own = weight.clone(memory_format=FORMATS[layout]).requires_grad_()
    return _with_gradients(shape, lambda source: F.conv2d(source, own, padding=1), own, source, given)


def sparseprop_layer(shape: LayerShape, weight: Tensor, over: str) -> Way:
    """SparseProp's module, vectorised over the batch or over the columns of an image."""
    make = import_module("sparseprop.modules").SparseConv2d
    module = make(weight, padding=1, vectorizing_over_on=over == "columns")
    source, given = _activations(shape, 64 if over == "batch" else BATCH)
    return _with_gradients(shape, module, module.W_val, source, given)


def _activations(shape: LayerShape, batch: int) -> tuple[Tensor, Tensor]:
    """Return inputs, and gradients by the outputs."""
    generator = torch.Generator().manual_seed(0)
    size = (shape.size, shape.size)
    source = torch.randn(batch, shape.inputs, *size, generator=generator)
    return source, torch.randn(batch, shape.outputs, *size, generator=generator)


def _with_gradients(
    shape: LayerShape, call: Callable[[Tensor], Tensor], weight: Tensor, source: Tensor, given: Tensor
) -> Way:
    wanted = [weight] if shape.is_first else [weight, source.requires_grad_()]
    return _in_one_thread(lambda: torch.autograd.grad(call(source), wanted, given))


def _in_one_thread(action: Callable[[], object]) -> Way:
    def way(times: int) -> float:
        with one_thread(), threadpool_limits(1):
            return timed(lambda: [action() for _ in range(times)])

    return way


def conv2_case(density: float, effort: Effort) -> Case:
    """Conv-2 with random masks, each weight at this density, on random images of CIFAR's shape."""
    size = 8 if effort.is_tiny else 32
    torch.manual_seed(0)
    make = partial(FrankleConv, (3, size, size), depth=2)
    start = make().state_dict()
    masks: Masks = {name: _random_mask(value, density) for name, value in start.items() if value.ndim > 1}
    start = {name: value * masks[name] if name in masks else value for name, value in start.items()}
    images = torch.randn(1200, 3, size, size)
    labels = torch.arange(1200) % 10
    data = from_arrays(images, labels, images[:60], labels[:60], name="random images")
    steps = training(20_000).with_(lr=2e-4)
    return Case("Conv-2", make, start, masks, split(data, validation=60, seed=0), steps)
