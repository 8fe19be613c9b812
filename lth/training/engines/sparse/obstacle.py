"""What the sparse engine cannot train."""

import importlib
from functools import cache

import torch
from torch import nn

from lth.config import Training
from lth.training.engines.sparse.reading import read_chain
from lth.training.engines.sparse.update_rule import update_rule_of
from lth.training.traces import SUMS


def sparse_obstacle(module: nn.Module, training: Training, population: int, device: torch.device) -> str | None:
    """Return what the sparse engine cannot do here; None if it can train such members."""
    if device.type != "cpu":
        return f"the device is {device}"
    if population > 1:
        return f"{population} networks are trained in one program (population 1 would train them one by one)"
    if training.task.name != "classification":
        return f"the task is {training.task.name}"
    if training.sparsifier is not None:
        return f"sparsifier {training.sparsifier.method!r} changes masks during training"
    if sums := [trace for trace in training.traces if trace in SUMS]:
        return f"{', '.join(sums)} is summed up over the steps"
    if training.measures:
        return f"measures are taken while it trains ({training.measures[0]}{', ...' * (len(training.measures) > 1)})"
    if training.augment:
        return f"images are augmented at every step ({', '.join(training.augment)})"
    if training.precision == "bfloat16":
        return "the precision is bfloat16"
    if training.train_only:
        return f"only {training.train_only[0]}{', ...' * (len(training.train_only) > 1)} is trained"
    if training.weight_decay and training.no_decay:
        return "some parameters decay and others do not"
    try:
        update_rule_of(training)
        read_chain(module)
    except ValueError as error:
        return str(error)
    return _missing()


@cache
def _missing() -> str | None:
    """Return what stands in the way of compiled code on this machine."""
    try:
        importlib.import_module("lth.training.engines.sparse.engine")
    except (ImportError, OSError, RuntimeError) as error:
        return f"numba cannot be loaded ({error})"
    return None
