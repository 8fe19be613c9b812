"""Layers of one network that compute faster on a CPU: the same numbers but for rounding."""

import torch
from torch import Tensor, nn

from lth.models.gpt2 import CausalAttention
from lth.tasks import Batch
from lth.training.engines.linear import OneDnnLinear, linear_path
from lth.training.engines.processor import cpu_info
from lth.training.population import Population


class ChannelsLastConv2d(nn.Conv2d):
    """A convolution whose output has the channel innermost: what follows, pooling above all, is then vectorised."""

    def forward(self, input: Tensor) -> Tensor:  # (batch, channel, height, width), (channel, height, width)
        if input.ndim == 4 and input.shape[1] == 1:
            # With one channel both layouts look alike, and torch would take the plain one.
            input = input.contiguous()
            batch, _, row, column = input.stride()
            input = input.as_strided(input.shape, (batch, 1, row, column))
        elif input.ndim == 4:
            input = input.contiguous(memory_format=torch.channels_last)
        return super().forward(input)


SHORT = 256
"""Tokens up to which attention goes through float32 under autocast: longer ones bfloat16 serves as well or better."""


class FloatAttention(CausalAttention):
    """Attention in float32 under autocast to bfloat16.

    On a processor without matrix tiles PyTorch's kernel takes four times as long for the gradients of 64 tokens in
    bfloat16 as in float32, and as long for those of 256.
    """

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
        if query.shape[-2] > SHORT:
            return super()._attend(query, key, value, dropout)
        with torch.autocast(query.device.type, enabled=False):
            attended = super()._attend(query.float(), key.float(), value.float(), dropout)
        return attended.to(query.dtype)


def quicken_attention(population: Population) -> list[str]:
    """Put attention in float32 in place of GPT-2's own, where it is alone, on a CPU without tiles and in bfloat16.

    Return the name of what was done, as `quicken` does; this goes with `torch.compile` too.
    """
    attention = _of_types(population.module, CausalAttention, FloatAttention)
    is_meant = population.precision == "bfloat16" and population.device.type == "cpu" and not population.is_stacked
    is_done = is_meant and bool(attention) and "amx_bf16" not in cpu_info().get("flags", "").split()
    _turn_into(attention, FloatAttention if is_done else CausalAttention)
    return ["attention-float32"] if is_done else []


def quicken(population: Population, batch: Batch) -> list[str]:
    """Put faster layers in place of a network's own, where it is alone, on a CPU and in float32.

    Return the names of what was done: a function of the machine and the network alone.

    Layers are exchanged by type: those of a subclass may do something else, and stay. A module that cannot take images
    with the channel innermost (it may `view` them) keeps its convolutions.

    Args:
        population: the network, in training mode.
        batch: a batch of it, for a trial.
    """
    if population.is_stacked or population.device.type != "cpu" or population.precision == "float64":
        return []
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return []
    done = []
    convolutions = _of_types(population.module, nn.Conv2d, ChannelsLastConv2d)
    if convolutions:
        _turn_into(convolutions, ChannelsLastConv2d)
        if _runs(population, batch):
            done.append("channels-last")
        else:
            _turn_into(convolutions, nn.Conv2d)
    linears = _of_types(population.module, nn.Linear, OneDnnLinear)
    # Under autocast to bfloat16 torch goes through oneDNN by itself.
    through_onednn = population.precision == "float32" and linear_path() == "onednn"
    _turn_into(linears, OneDnnLinear if through_onednn else nn.Linear)
    return [*done, "onednn"] if linears and through_onednn else done


def _of_types(module: nn.Module, *layers: type[nn.Module]) -> list[nn.Module]:
    return [each for each in module.modules() if type(each) in layers]


def _turn_into(layers: list[nn.Module], layer: type[nn.Module]) -> None:
    """Change the class of layers, as PyTorch's own lazy layers and parametrizations do.

    The objects stay, with their parameters and hooks, and so do references that a module keeps outside its submodules
    (in a list, say), which new layers in their place would miss.
    """
    for each in layers:
        each.__class__ = layer


def _runs(population: Population, batch: Batch) -> bool:
    """Return whether a step's forward and backward pass go through; it leaves no trace."""
    try:
        with population.trying():
            population.losses(batch).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
    return True
