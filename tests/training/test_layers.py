"""Faster layers give the numbers of torch's own, and are only put where they can work."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from trainings import ConvNet, assert_same_bits, digits, lenet, member, run, short_training, small_net

from lth.tasks import Classification
from lth.training import Where
from lth.training.engines import linear
from lth.training.engines.layers import ChannelsLastConv2d, quicken
from lth.training.engines.linear import VARIABLE, OneDnnLinear, linear_path, onednn_works
from lth.training.engines.torch_engine import TorchEngine
from lth.training.population import Population

needs_onednn = pytest.mark.skipif(not onednn_works(), reason="this torch ships no oneDNN product")


class Viewing(ConvNet):
    """Asks for the plain layout, as many older networks do."""

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        hidden = self.conv2(self.norm1(self.conv1(inputs.unsqueeze(1))))
        return self.output(hidden.view(len(inputs), -1)[:, :8])


def close(found: Tensor, wanted: Tensor) -> None:
    """Within what rounding makes of sums of up to 729 terms that may cancel; products in bfloat16 would be far off."""
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-3)


@needs_onednn
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.integers(1, 40),
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
)
def test_onednn_linear_is_a_linear(batch: list[int], width: int, outputs: int, bias: bool, large: bool) -> None:
    """Output and gradients against float64, with every product through oneDNN or through torch."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setattr(linear, "MIN_WORK", 0 if large else 10**9)
        torch.manual_seed(width)
        layer = OneDnnLinear(width, outputs, bias=bias)
        inputs, gradient = torch.randn(*batch, width, requires_grad=True), torch.randn(*batch, outputs)
        found = layer(inputs)
        found.backward(gradient)
        exact = [value.detach().double().requires_grad_() for value in (inputs, *layer.parameters())]
        wanted = F.linear(exact[0], exact[1], exact[2] if bias else None)
        wanted.backward(gradient.double())
        close(found, wanted.detach())
        for value, reference in zip((inputs, *layer.parameters()), exact, strict=True):
            assert value.grad is not None
            assert reference.grad is not None
            close(value.grad, reference.grad)


@needs_onednn
def test_a_training_through_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same curve as torch's own layers but for rounding, twice the same bits, and another signature."""
    monkeypatch.setattr(linear, "MIN_WORK", 1000)
    outcomes = []
    for path in ("torch", "onednn", "onednn"):
        monkeypatch.setenv(VARIABLE, path)
        outcomes.append(run([member(lenet, 1)], lenet(), short_training(steps=30, lr=1e-3))[0])
    plain, one, other = outcomes
    assert one.history == other.history
    assert_same_bits(one.weights, other.weights)
    assert one.history.curves["validation/loss"] == pytest.approx(plain.history.curves["validation/loss"], rel=1e-4)
    assert any(not torch.equal(value, plain.weights[name]) for name, value in one.weights.items())
    assert engine_of(lenet, "float32").signature == "torch/cpu/1/onednn"
    assert engine_of(lenet, "float64").signature == engine_of(lenet, "bfloat16").signature == "torch/cpu/1"


def engine_of(make: Any, precision: Any) -> TorchEngine:
    return TorchEngine(
        [member(make, 1)],
        make(),
        digits(),
        short_training(precision=precision),
        Where(),
    )


def test_the_path_follows_from_processor_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for processor, wanted in (
        (("AuthenticAMD", True), "onednn" if onednn_works() else "torch"),
        (("AuthenticAMD", False), "torch"),
        (("GenuineIntel", True), "torch"),
        (("", False), "torch"),
    ):
        monkeypatch.setattr(linear, "vendor_and_avx512", lambda processor=processor: processor)
        assert linear_path() == wanted
    monkeypatch.setattr(linear, "vendor_and_avx512", lambda: ("AuthenticAMD", True))
    monkeypatch.setenv(VARIABLE, "torch")
    assert linear_path() == "torch"
    monkeypatch.setenv(VARIABLE, "onedn")
    with pytest.raises(ValueError, match=r"unknown LTH_LINEAR 'onedn'. Did you mean 'onednn'"):
        linear_path()
    monkeypatch.setenv(VARIABLE, "onednn")
    monkeypatch.setattr(linear, "onednn_works", lambda: False)
    with pytest.raises(ValueError, match="no oneDNN that gives right products"):
        linear_path()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_channels_last_convolution_is_a_convolution(channels: int) -> None:
    torch.manual_seed(0)
    layer = ChannelsLastConv2d(channels, 6, 3, padding=1, stride=2)
    inputs, gradient = torch.randn(5, channels, 9, 7, requires_grad=True), torch.randn(5, 6, 5, 4)
    found = layer(inputs)
    assert found.is_contiguous(memory_format=torch.channels_last)
    found.backward(gradient)
    exact = [value.detach().double().requires_grad_() for value in (inputs, layer.weight, layer.bias)]
    wanted = F.conv2d(*exact, stride=2, padding=1)
    wanted.backward(gradient.double())
    close(found, wanted.detach())
    for value, reference in zip((inputs, layer.weight, layer.bias), exact, strict=True):
        assert value.grad is not None
        assert reference.grad is not None
        close(value.grad, reference.grad)
        assert value.grad.is_contiguous() or value is inputs
    close(layer(inputs[0]), wanted[0].detach())  # one example without a batch axis


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
def test_layers_are_exchanged_where_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    batch = digits()["train"].take(torch.arange(20), torch.device("cpu"))
    done = {}
    for make, precision, size in (
        (ConvNet, "float32", 1),
        (ConvNet, "bfloat16", 1),
        (ConvNet, "float64", 1),
        (ConvNet, "float32", 2),
        (Viewing, "float32", 1),
        (small_net, "float32", 1),
    ):
        members = [member(make, seed) for seed in range(size)]
        population = Population(make().train(), members, torch.device("cpu"), precision, Classification(10))
        before = {name: value.clone() for name, value in population.tensors().items()}
        state = torch.get_rng_state()
        paths = quicken(population, batch)
        done[make.__name__, precision, size] = "channels-last" in paths
        assert any(type(each) is ChannelsLastConv2d for each in population.module.modules()) == (
            "channels-last" in paths
        )
        assert_same_bits(population.tensors(), before)
        assert torch.equal(torch.get_rng_state(), state)
        assert all(value.grad is None for value in population.parameters.values())
    assert [names for names, is_done in done.items() if is_done] == [
        ("ConvNet", "float32", 1),
        ("ConvNet", "bfloat16", 1),
    ]


def test_a_network_that_views_its_images_trains() -> None:
    assert run([member(Viewing, 1)], Viewing(), short_training())[0].history.diverged_at is None


def test_a_layer_of_a_subclass_stays() -> None:
    class Doubled(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    def make() -> nn.Module:
        return nn.Sequential(nn.Unflatten(1, (1, 8)), Doubled(1, 4, 3), nn.Flatten(), nn.Linear(144, 10))

    population = Population(make(), [member(make, 1)], torch.device("cpu"), "float32", Classification(10))
    quicken(population, digits()["train"].take(torch.arange(5), torch.device("cpu")))
    assert type(population.module[1]) is Doubled
