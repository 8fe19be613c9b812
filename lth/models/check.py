"""Whether a network does what its task needs, found out on one batch."""

import torch
from torch import nn

from lth.data.types import Examples
from lth.models.seeding import seeded
from lth.tasks.task import Batch, Task

FEW = 8
"""Examples of a check."""


def check_model(name: str, module: nn.Module, task: Task, batch: Batch | Examples) -> None:
    """Run a batch through a network in evaluation mode, and check that its outputs fit the task.

    It draws nothing from the global generators. A module that infers its sizes at its first call has them afterwards.

    Args:
        name: of the model, for messages.
        module: on the device of the batch; left in the mode that it was in.
        task: what it is for.
        batch: some real examples; of a part of the data the first few are taken.
    Raises:
        ValueError: if the network fails, or its outputs do not fit.
    """
    if not isinstance(batch, dict):
        batch = batch.take(torch.arange(min(FEW, len(batch))), torch.device("cpu"))
    parameter = next((value for value in module.parameters() if value.is_floating_point()), torch.zeros(0))
    fitting = {key: value.to(parameter.dtype) if value.is_floating_point() else value for key, value in batch.items()}
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        with torch.no_grad(), seeded(0):
            outputs = task.forward(module, fitting)
    except Exception as error:  # whatever the user's forward raises
        raise ValueError(
            f"the model {name!r} does not take a batch of {_shapes(batch)}: {first_line(error)}{_hint(batch, error)}"
        ) from error
    finally:
        for layer, mode in modes:
            layer.training = mode
    try:
        task.check(outputs, fitting)
    except ValueError as error:
        raise ValueError(f"the model {name!r} does not fit {task.name}: {error}") from error


def first_line(error: BaseException) -> str:
    """Return type and first line of an exception."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _shapes(batch: Batch) -> str:
    inputs = {key: value for key, value in batch.items() if key != "y"}
    return ", ".join(f"{key} {tuple(value.shape)} {str(value.dtype)[6:]}" for key, value in inputs.items())


def _hint(batch: Batch, error: Exception) -> str:
    is_token = any(value.dtype == torch.int64 for key, value in batch.items() if key != "y")
    if is_token and ("dtype" in str(error) or "Long" in str(error)):
        return ". Whole numbers are taken as token ids: give floats where they are features"
    return ""
