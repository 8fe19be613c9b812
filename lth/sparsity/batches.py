"""Examples for criteria that run the network: which ones, and how they are cut into batches."""

import torch
from torch import Tensor

from lth.tasks import Batch, Task

BATCH = 256
"""Examples that are run together at most."""

WEIGHT = 8192
"""Most that counts together in a batch of several examples (`Task.weight`: tokens of a language model)."""

UNGROUPED = 10
"""Groups that examples without classes stand for."""


def some_examples(groups: Tensor | None, total: int, number: int, generator: torch.Generator) -> Tensor:
    """Return indices of random examples, in the order of the data.

    Args:
        groups: (example,), the class of each example; None without classes.
        total: number of examples.
        number: of each class; a smaller class gives all it has. Without classes ten times as many are drawn.
        generator: on the CPU.
    """
    order = torch.randperm(total, generator=generator)
    if groups is None:
        return order[: UNGROUPED * number].sort().values
    of_each = groups.cpu()
    chosen = [order[of_each[order] == group][:number] for group in torch.unique(of_each)]
    return torch.cat(chosen).sort().values


def split_batch(batch: Batch, task: Task) -> list[Batch]:
    """Return the same examples in as few batches as the limits above allow.

    Each batch gets its share of every class, in whatever order the examples come: batch statistics stay comparable.
    """
    total = num_examples(batch)
    groups = task.groups(batch)
    first = next(iter(batch.values()))
    order = torch.arange(total, device=first.device) if groups is None else groups.argsort(stable=True)
    count = max(-(-total // BATCH), min(total, -(-int(task.weight(batch)) // WEIGHT)))
    return [examples_at(batch, order[part::count]) for part in range(count)]


def examples_at(batch: Batch, indices: Tensor | slice) -> Batch:
    """Return some examples of a batch."""
    return {name: values[indices] for name, values in batch.items()}


def num_examples(batch: Batch) -> int:
    """Return the number of examples in a batch."""
    return len(next(iter(batch.values())))
