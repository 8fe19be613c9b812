"""Faster layers give the numbers of torch's own, and are only put where they can work."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from trainings import (
    ConvNet,
    FolderJournal,
    assert_same,
    assert_same_bits,
    digits,
    language_model,
    lenet,
    member,
    run,
    short_training,
    small_net,
    tokens,
)

from lth.models import Gpt2
from lth.models.gpt2 import CausalAttention
from lth.tasks import Classification, LanguageModel
from lth.training import Interrupted, Outcome, Where
from lth.training.engines import layers, linear
from lth.training.engines.layers import SHORT, ChannelsLastConv2d, FloatAttention, quicken, quicken_attention
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
    outcomes, went, path = [], set(), ""
    forward = OneDnnLinear.forward

    def noted(layer: OneDnnLinear, inputs: Tensor) -> Tensor:
        went.add(path)
        return forward(layer, inputs)

    monkeypatch.setattr(OneDnnLinear, "forward", noted)
    for path in ("torch", "onednn", "onednn"):
        monkeypatch.setenv(VARIABLE, path)
        outcomes.append(run([member(lenet, 1)], lenet(), short_training(steps=30, lr=1e-3))[0])
    plain, one, other = outcomes
    assert one.history == other.history
    assert_same_bits(one.weights, other.weights)
    assert one.history.curves["validation/loss"] == pytest.approx(plain.history.curves["validation/loss"], rel=1e-4)
    assert went == {"onednn"}
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


def tiny_gpt() -> nn.Module:
    return Gpt2(11, 7, n_layer=2, n_head=2, n_embd=8, pad_to=1, sink=True)


@pytest.mark.parametrize(("length", "is_short"), [(7, True), (SHORT + 1, False)])
def test_attention_in_float_rounds_once(length: int, is_short: bool) -> None:
    """Outputs and gradients of short attention are those of float64, rounded; long attention is left to PyTorch."""
    torch.manual_seed(0)
    both = [kind(8, 2, 0.0, False, False, nn.Identity()) for kind in (FloatAttention, CausalAttention)]
    inputs = [torch.randn(2, 2, length, 4, dtype=torch.bfloat16) for _ in range(3)]
    gradient = torch.randn(2, 2, length, 4, dtype=torch.bfloat16)

    def passes(layer: nn.Module, dtype: torch.dtype) -> list[Tensor]:
        own = [each.detach().to(dtype).requires_grad_() for each in inputs]
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            found = layer._attend(*own, 0.0)  # type: ignore[operator]
        assert found.dtype == dtype
        found.backward(gradient.to(dtype))
        return [found.detach(), *(each.grad for each in own if each.grad is not None)]

    found, plain = (passes(layer, torch.bfloat16) for layer in both)
    if is_short:
        exact = passes(both[1], torch.float64)
        for mine, wanted in zip(found, exact, strict=True):
            torch.testing.assert_close(mine.double(), wanted, rtol=2**-8, atol=1e-5)
    else:
        assert all(torch.equal(mine, other) for mine, other in zip(found, plain, strict=True))


@pytest.mark.parametrize(
    ("flags", "precision", "path"),
    [
        ("avx512f", "bfloat16", ["attention-float32"]),
        ("avx512f amx_bf16", "bfloat16", []),
        ("avx512f", "float64", []),
    ],
)
def test_attention_is_exchanged_in_bfloat16_without_tiles(
    monkeypatch: pytest.MonkeyPatch, flags: str, precision: str, path: list[str]
) -> None:
    monkeypatch.setattr(layers, "cpu_info", lambda: {"flags": flags})
    task = LanguageModel(vocabulary=11)
    population = Population(tiny_gpt(), [member(tiny_gpt, 1)], torch.device("cpu"), precision, task)
    assert quicken_attention(population) == path
    kinds = {type(each) for each in population.module.modules() if isinstance(each, CausalAttention)}
    assert kinds == {FloatAttention if path else CausalAttention}


def test_a_training_with_attention_in_float_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits after a stop; where attention is another, as on another machine, it starts over."""
    monkeypatch.setattr(layers, "cpu_info", lambda: {"flags": ""})
    training = short_training(task=language_model(), precision="bfloat16")

    def trained(journal: FolderJournal | None = None) -> Outcome:
        return run([member(tiny_gpt, 1)], tiny_gpt(), training, parts=tokens(), journal=journal, snapshot_seconds=0.0)[
            0
        ]

    whole = trained()
    assert whole.signature == "torch/cpu/1/attention-float32"
    with pytest.raises(Interrupted):
        trained(FolderJournal(tmp_path, stop_at=7))
    resumed = trained(FolderJournal(tmp_path))
    assert_same([whole], [resumed])
    assert resumed.num_steps == 5
    monkeypatch.setattr(layers, "cpu_info", lambda: {"flags": "amx_bf16"})
    elsewhere = trained(FolderJournal(tmp_path))
    assert (elsewhere.signature, elsewhere.num_steps) == ("torch/cpu/1", 12)
