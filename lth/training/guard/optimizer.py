"""What guards ask of optimizers."""

from collections.abc import Mapping

import torch
from torch import nn

_WRAPPERS = ("accelerate", "lightning", "pytorch_lightning")


def plain_optimizer(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Return the optimizer inside the wrappers of Accelerate and Lightning.

    Raises:
        ValueError: if it is no `torch.optim.Optimizer`.
    """
    while type(optimizer).__module__.split(".")[0] in _WRAPPERS and hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(
            f"the optimizer is a {type(optimizer).__name__}, whose steps cannot be followed: give a "
            "torch.optim.Optimizer"
        )
    return optimizer


def check_held(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> None:
    """Raise a ValueError if the optimizer lacks one of these parameters that is trained."""
    held = {id(value) for group in optimizer.param_groups for value in group["params"]}
    absent = [name for name, value in parameters.items() if value.requires_grad and id(value) not in held]
    if absent:
        raise ValueError(
            f"the optimizer does not hold {', '.join(absent)}, which the masks name: make it from this model's "
            "parameters, or leave these masks out"
        )


def holds_any(optimizer: torch.optim.Optimizer, ids: set[int]) -> bool:
    """Return whether the optimizer holds one of the parameters with these ids."""
    return any(id(value) in ids for group in optimizer.param_groups for value in group["params"])


def is_skipped(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether a GradScaler makes the present step do nothing: fused optimizers are called all the same."""
    found_inf = getattr(optimizer, "found_inf", None)
    return found_inf is not None and bool(found_inf)
