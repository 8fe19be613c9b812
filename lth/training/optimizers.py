"""Optimizers by name, from `torch.optim`."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch

from lth.config.choices import Table

OPTIMIZERS: Table[type[torch.optim.Optimizer]] = Table(
    "optimizer",
    {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "nadam": torch.optim.NAdam,
        "radam": torch.optim.RAdam,
        "adamax": torch.optim.Adamax,
        "rmsprop": torch.optim.RMSprop,
        "adagrad": torch.optim.Adagrad,
        "adadelta": torch.optim.Adadelta,
        "rprop": torch.optim.Rprop,
    },
)
"""The elementwise ones: an entry without gradient and without momentum stays where it is (but for weight decay), and
members of a stacked population do not touch each other. LBFGS, Muon, Adafactor and SparseAdam are not of this kind."""


def make_optimizer(
    name: str, parameters: Iterable[Any], lr: float, weight_decay: float, options: dict[str, Any]
) -> torch.optim.Optimizer:
    """Return the optimizer over these parameters, fused where PyTorch offers that.

    Args:
        name: entry of OPTIMIZERS.
        parameters: leaf tensors, possibly stacked over a population, or groups of them as `torch.optim` takes them.
        lr: learning rate per step.
        weight_decay: as the optimizer means it (decoupled for AdamW).
        options: further keyword arguments (momentum, betas, eps, ...).
    Raises:
        ValueError: if the optimizer or one of its options is unknown, or it has no weight decay and some is asked for.
    """
    optimizer_class, arguments = _class_and_arguments(name, lr, weight_decay, options)
    try:
        return optimizer_class(parameters, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _not_taken(name, options, error) from error


def check_optimizer(name: str, lr: float, weight_decay: float, options: dict[str, Any]) -> None:
    """Raise what `make_optimizer` would, but make none: that loads PyTorch's compiler, which takes two seconds."""
    optimizer_class, arguments = _class_and_arguments(name, lr, weight_decay, options)
    try:
        optimizer_class([], **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        if "empty parameter list" not in str(error):  # which PyTorch looks at last
            raise _not_taken(name, options, error) from error


def _class_and_arguments(
    name: str, lr: float, weight_decay: float, options: dict[str, Any]
) -> tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]:
    optimizer_class = OPTIMIZERS.pick(name)
    allowed = inspect.signature(optimizer_class).parameters
    for option in options:
        if option not in allowed or option in ("params", "lr", "weight_decay"):
            names = [key for key in allowed if key not in ("params", "lr", "weight_decay")]
            raise ValueError(f"optimizer {name!r} has no option {option!r}. Choices: {', '.join(names)}")
    is_free = "fused" in allowed and not options.keys() & {"fused", "foreach", "differentiable"}  # one or the other
    fused: dict[str, Any] = {"fused": True} if is_free else {}
    decay: dict[str, Any] = {"weight_decay": weight_decay} if "weight_decay" in allowed else {}
    if weight_decay and not decay:
        raise ValueError(
            f"optimizer {name!r} has no weight decay: found weight_decay {weight_decay}, only 0 is allowed"
        )
    return optimizer_class, {"lr": lr, **decay, **fused, **options}


def _not_taken(name: str, options: dict[str, Any], error: Exception) -> ValueError:
    return ValueError(f"optimizer {name!r} does not take the options {options}: {error}")
