"""The cut of a compact network: what is left of each tensor. With it, the original class gives the compact shape."""

import copy
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from lth.sparsity.compact.attention import CompactAttention
from lth.sparsity.compact.select_inputs import SelectInputs


class Cut(BaseModel):
    """How to cut a network, as data that a file can hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["lth.compact/2"] = "lth.compact/2"
    attention: tuple[str, ...] = Field(default=(), description="nn.MultiheadAttention that became CompactAttention")
    biases: tuple[str, ...] = Field(default=(), description="layers without a bias that got one, for constants")
    kept: dict[str, dict[int, list[int]]] = Field(
        default={}, description="indices that stay, by tensor name and axis; other tensors are uncut"
    )
    attributes: dict[str, dict[str, int]] = Field(default={}, description="numbers of heads, by path of the block")
    selected: dict[str, list[int]] = Field(default={}, description="inputs that a Linear reads, by its path")


def apply_cut(module: nn.Module, cut: Cut) -> nn.Module:
    """Return a network of the module's class with the cut's shapes. Its values are the module's own, where they stay.

    Args:
        module: a network of the original architecture; it is left as it is.
        cut: of a compact network.
    Raises:
        ValueError: if the module does not fit the cut.
    """
    small = copy.deepcopy(module)
    try:
        for path in cut.attention:
            attention = small.get_submodule(path)
            if not isinstance(attention, nn.MultiheadAttention):
                raise ValueError(f"{path!r} is a {type(attention).__name__}, not nn.MultiheadAttention")
            small.set_submodule(path, CompactAttention(attention))
        for path in cut.biases:
            add_bias(small.get_submodule(path))
        cut_tensors(small, cut)
        select_inputs(small, cut)
    except (AttributeError, IndexError, ValueError) as error:
        raise ValueError(
            f"the cut is for another architecture: {error}. Give a fresh module of the class and arguments that the "
            "compact network was made from"
        ) from error
    return small


def cut_tensors(module: nn.Module, cut: Cut) -> None:
    """Cut tensors in place, and tell their layers. Attention and biases are as the cut says already."""
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    if unknown := [name for name in cut.kept if name not in tensors]:
        raise ValueError(f"there is no tensor {unknown[0]!r}")
    smaller: dict[int, Tensor] = {}
    for name, axes in cut.kept.items():
        value = tensors[name].detach()
        for axis, indices in axes.items():
            value = value.index_select(axis, torch.tensor(indices, device=value.device))
        is_parameter = isinstance(tensors[name], nn.Parameter)
        smaller[id(tensors[name])] = (
            nn.Parameter(value, requires_grad=tensors[name].requires_grad) if is_parameter else value
        )
    for layer in module.modules():
        for held in (layer._parameters, layer._buffers):  # by identity, so that tied tensors stay tied
            for name, tensor in held.items():
                if id(tensor) in smaller:
                    held[name] = smaller[id(tensor)]  # type: ignore[assignment]
        _tell(layer)
    for path, counts in cut.attributes.items():
        for name, count in counts.items():
            setattr(module.get_submodule(path), name, count)


def select_inputs(module: nn.Module, cut: Cut) -> None:
    """Let Linears select the inputs that they read, in place."""
    for path, columns in cut.selected.items():
        linear = module.get_submodule(path)
        if not isinstance(linear, nn.Linear):
            raise ValueError(f"{path!r} is a {type(linear).__name__}, not nn.Linear")
        selecting = SelectInputs(linear, torch.tensor(columns))
        selecting.train(linear.training)
        module.set_submodule(path, selecting)


def add_bias(layer: nn.Module) -> None:
    """Give a layer without a bias a bias of zeros."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    layer.bias = nn.Parameter(torch.zeros_like(weight.detach().flatten(1)[:, 0]))


def _tell(layer: nn.Module) -> None:
    """Tell a layer its sizes, which its weights now say."""
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        layer.out_channels, inputs = layer.weight.shape[:2]
        if layer.groups > 1 and inputs == 1:
            layer.groups = layer.in_channels = layer.out_channels  # depthwise; other groups are never cut
        elif layer.groups == 1:
            layer.in_channels = inputs
    elif isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
        layer.num_features = len(layer.running_mean)
    elif isinstance(layer, nn.Embedding):
        layer.embedding_dim = layer.weight.shape[1]
