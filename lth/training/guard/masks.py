"""Masks of a module: read from its zeros, saved and loaded, applied once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lth.sparsity.types import Masks
from lth.training.guard.parameters import checked_masks, parameters_of, prunable_names


def masks(model: nn.Module, *, prune_only: Sequence[str] = (), never_prune: Sequence[str] = ()) -> Masks:
    """Return one mask for each prunable parameter: True where its value is not zero.

    Args:
        model: any module, wrapped by `DistributedDataParallel` or `torch.compile` or not.
        prune_only: patterns of the parameters to prune, in place of the weights of linear and convolution layers.
        never_prune: patterns of parameters to leave out.
    Raises:
        ValueError: if nothing is prunable, or a pattern matches nothing.
    """
    parameters = parameters_of(model)
    return {name: parameters[name].detach() != 0 for name in prunable_names(model, prune_only, never_prune)}


def prunable_masks(model: nn.Module, *, prune_only: Sequence[str] = (), never_prune: Sequence[str] = ()) -> Masks:
    """Return masks that keep every prunable weight; arguments and errors as in `masks`."""
    parameters = parameters_of(model)
    names = prunable_names(model, prune_only, never_prune)
    return {name: torch.ones_like(parameters[name], dtype=torch.bool) for name in names}


@torch.no_grad()
def apply(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set pruned entries to zero, once; `guard` keeps them there.

    Raises:
        ValueError: if the masks do not fit the model.
    """
    parameters = parameters_of(model)
    for name, mask in checked_masks(masks, model).items():
        parameters[name].masked_fill_(~mask, 0.0)


def save_masks(masks: Mapping[str, Tensor], path: str | Path) -> None:
    """Write masks as a safetensors file."""
    save_file({name: mask.detach().cpu().contiguous().clone() for name, mask in masks.items()}, path)


def load_masks(path: str | Path) -> Masks:
    """Return the masks of a file that `save_masks` wrote, on the CPU.

    Raises:
        ValueError: if it is no safetensors file, or holds a tensor that is no mask.
    """
    try:
        tensors: Masks = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file ({error}): give one that save_masks wrote") from error
    other = [f"{name} ({tensor.dtype})" for name, tensor in tensors.items() if tensor.dtype != torch.bool]
    if other:
        raise ValueError(f"{path} holds {', '.join(other)}: masks are torch.bool. Give a file that save_masks wrote")
    return tensors
