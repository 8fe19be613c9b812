"""Modules made in two steps: sizes that are inferred at the first call."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lth.models.structure import named_tensors
from lth.tasks.task import Batch, Task

Call = dict[str, tuple[str, tuple[int, ...]]]
"""What a module is called with, type and shape by name; positions, as `"0"`, stand for what has no name."""


def is_unfinished(module: nn.Module) -> bool:
    """Return whether sizes are still to be inferred."""
    return any(is_lazy(value) for _, value in named_tensors(module))


def usual_call(facts: Mapping[str, Any]) -> Call | None:
    """Return what a module is called with that takes one input; None where the facts do not tell."""
    shape = facts.get("input_shape")
    if "vocabulary" in facts and "block" in facts:
        return {"0": ("int64", (2, facts["block"]))}
    return {"0": ("float32", (2, *shape))} if isinstance(shape, list | tuple) else None


def call_of(task: Task, batch: Batch) -> Call:
    """Return what a task calls a module with."""
    call: Call = {}

    def note(*inputs: Any, **keywords: Any) -> Tensor:
        for name, value in ({str(place): value for place, value in enumerate(inputs)} | keywords).items():
            if isinstance(value, Tensor):
                call[name] = str(value.dtype).removeprefix("torch."), tuple(value.shape)
        return torch.zeros(0)

    task.forward(note, {name: value[:2] for name, value in batch.items()})
    return call


def finish(module: nn.Module, call: Call) -> None:
    """Have a module infer its sizes, in evaluation mode, from zeros; parameters are drawn as the module does it.

    Raises:
        Exception: whatever the module raises.
    """
    zeros = {name: torch.zeros(shape, dtype=getattr(torch, dtype)) for name, (dtype, shape) in call.items()}
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    with torch.no_grad():
        inputs = [value for name, value in sorted(zeros.items()) if name.isdigit()]
        module(*inputs, **{name: value for name, value in zeros.items() if not name.isdigit()})
    for layer, mode in modes:
        layer.training = mode
