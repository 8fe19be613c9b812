"""The experiment with sparse convolutions computes what PyTorch does."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.conv2 import SparseConv2
from bench.convolution_kernels import LANES, RUN, convolution, input_gradient, multiply, weight_gradient
from bench.convolution_pooling import add_up, gather
from bench.convolutions import conv2_case, convolution_rows
from bench.ratio import QUICK
from lth.training.engines.sparse.arrays import Array


def side_by_side(images: Tensor) -> Array:
    """Sixteen images as the kernels take them."""
    size = images.shape[-1]
    flat = np.zeros(images.shape[1] * (size + 2) ** 2 * LANES, np.float32)
    gather(size, images.detach().numpy(), np.arange(LANES), flat)
    return flat


@pytest.mark.parametrize(("inputs", "outputs", "density"), [(3, 5, 0.5), (40, 3, 0.2), (4, 2, 0.02)])
def test_products_equal_those_of_torch(inputs: int, outputs: int, density: float) -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(outputs, inputs, 3, 3, generator=generator) < density
    weight = (torch.randn(mask.shape, generator=generator) * mask).requires_grad_()
    bias = torch.randn(outputs, generator=generator)
    images = torch.randn(LANES, inputs, 16, 16, generator=generator, requires_grad=True)
    expected = F.conv2d(images, weight, bias, padding=1)
    given = torch.randn(expected.shape, generator=generator)
    gradients = torch.autograd.grad(expected, [images, weight], given)

    own = convolution(mask.numpy(), 16)
    values = weight.detach().numpy().reshape(-1)[own.weights]
    (out,), (below,) = own.activations(outputs, 1), own.activations(inputs, 1)
    multiply(own, values, bias.numpy(), side_by_side(images), out, RUN)
    np.testing.assert_allclose(out, side_by_side(expected), atol=1e-5)
    input_gradient(own, values, side_by_side(given), below, RUN)
    np.testing.assert_allclose(below, side_by_side(gradients[0]), atol=1e-5)
    sums, found = np.zeros(len(values) * LANES, np.float32), np.zeros_like(values)
    weight_gradient(own, sums, side_by_side(images), side_by_side(given), RUN)
    add_up(sums, found)
    np.testing.assert_allclose(found, gradients[1].numpy().reshape(-1)[own.weights], rtol=1e-4, atol=1e-4)


def test_steps_equal_those_of_torch() -> None:
    case = conv2_case(0.3, QUICK)
    module = case.module()
    optimizer = torch.optim.Adam(module.parameters(), lr=case.training.lr)
    batch = case.parts["train"].take(torch.arange(60), torch.device("cpu"))
    network = SparseConv2(case.start, case.masks, batch["x"].numpy(), batch["y"].numpy(), case.training)
    for _ in range(5):
        loss = F.cross_entropy(module(batch["x"]), batch["y"])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for name, parameter in module.named_parameters():
            parameter.grad *= case.masks.get(name, 1)  # type: ignore[operator]
        optimizer.step()
        assert network.step(np.arange(60)) == pytest.approx(loss.item(), abs=1e-5)
    for name, value in network.weights(case.start).items():
        assert not torch.equal(value, case.start[name])
        torch.testing.assert_close(value, module.state_dict()[name], rtol=0, atol=2e-5)


def test_a_dense_linear_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="too dense"):
        case = conv2_case(1.0, QUICK)
        SparseConv2(case.start, case.masks, np.zeros((1, 3, 8, 8), np.float32), np.zeros(1, np.int64), case.training)


def test_layers_and_steps_are_measured() -> None:
    layers = [row for row in convolution_rows(QUICK) if "whole step" not in row.what]
    assert [row.labels["theirs"] for row in layers][:2] == ["channels-last", "contiguous"]
    assert all(ratio > 0 for row in layers for ratio in row.ratios)
