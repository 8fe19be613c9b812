"""A model's parameters by their own names, and masks that are checked against them."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from lth.sparsity.prunable import never_pruned, prunable
from lth.sparsity.types import Masks

_WRAPPERS = (nn.parallel.DistributedDataParallel, nn.DataParallel)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside `DistributedDataParallel`, `DataParallel` and `torch.compile`."""
    while True:
        if isinstance(model, _WRAPPERS):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def parameters_of(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters by the names that they have without wrappers, a tied weight once, under its first name."""
    return {_plain(name): value for name, value in unwrapped(model).named_parameters()}


def prunable_names(model: nn.Module, prune_only: Sequence[str] = (), never_prune: Sequence[str] = ()) -> list[str]:
    """Return which of them may be pruned, by patterns of their names; by default no head of a `transformers` model.

    Raises:
        ValueError: if none is left, or a pattern matches none.
    """
    module = unwrapped(model)
    return [_plain(name) for name in prunable(module, prune_only, never_pruned(module, prune_only, never_prune))]


def checked_masks(masks: Mapping[str, Tensor], model: nn.Module) -> Masks:
    """Return these masks under the names of `parameters_of`, in the network's order, each on its parameter's device.

    Raises:
        ValueError: if there are none, or one names no parameter, differs from it in shape, or is not `torch.bool`.
    """
    parameters = parameters_of(model)
    first_name = {id(value): name for name, value in parameters.items()}
    owners = {
        _plain(name): first_name[id(value)] for name, value in unwrapped(model).named_parameters(remove_duplicate=False)
    }
    checked: Masks = {}
    for given, mask in masks.items():
        name = _plain(given)
        name = owners.get(name) or owners.get(name.removeprefix("module."), "")
        if not name:
            near = get_close_matches(given, owners, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(owners)}"
            raise ValueError(f"masks name {given!r}, which is no parameter of the model: {hint}")
        if mask.dtype != torch.bool:
            raise ValueError(
                f"the mask of {given!r} is {mask.dtype}: masks are torch.bool, True keeps. Use mask.bool()"
            )
        if mask.shape != parameters[name].shape:
            raise ValueError(
                f"the mask of {given!r} has shape {tuple(mask.shape)}, its parameter {tuple(parameters[name].shape)}: "
                "they must agree"
            )
        if name in checked and not torch.equal(checked[name], mask.to(checked[name].device)):
            raise ValueError(f"the masks of {name!r} and {given!r} differ, but the two are one tied weight: give one")
        checked[name] = mask.to(parameters[name].device)
    if not checked:
        raise ValueError("there are no masks: give one torch.bool tensor for each parameter to prune")
    return {name: checked[name] for name in parameters if name in checked}


def _plain(name: str) -> str:
    return name.replace("_orig_mod.", "")
