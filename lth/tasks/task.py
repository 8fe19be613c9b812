"""What a task is: how a network is called, what it minimises, and how it is measured."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from lth.config.metric import Metric

Batch = dict[str, Tensor]
"""Some examples: tensors by name, the example axis first in each."""

Tally = dict[str, Tensor]
"""What is added up over batches, and over processes."""


@runtime_checkable
class Task(Protocol):
    """What is learned and how it is measured: a frozen value.

    Attributes:
        name: its entry in TASKS.
        version: raised when its numbers change; part of the key of a result.
        metrics: what is measured; the first is the one that a verdict compares.
        stop_by: the metric whose best value on the validation part is the early-stopping point.
    """

    name: ClassVar[str]
    version: ClassVar[int]

    @property
    def metrics(self) -> tuple[Metric, ...]: ...

    @property
    def stop_by(self) -> str: ...

    def forward(self, call: Callable[..., Any], batch: Batch) -> Tensor:
        """Return what the network makes of a batch, as one tensor; `call` takes what the network's `forward` takes."""

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss over what counts in the batch, 0-d; it must work under `torch.vmap`."""

    def weight(self, batch: Batch) -> Tensor:
        """Return how much counts in the batch, 0-d: what `loss` is a mean over (examples, tokens)."""

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        """Return the sums from which `read` makes metrics, in float64 or int64."""

    def merge(self, some: Tally, more: Tally) -> Tally:
        """Return the tally of both; adds, unless a metric needs the values themselves (a rank correlation)."""

    def read(self, tally: Tally) -> dict[str, float]:
        """Return every metric by name, and whatever else is of use at the end (`accuracy of class 3`)."""

    def relevant(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the 0-d sum of the outputs that explain the right answers: where relevance starts from."""

    def groups(self, batch: Batch) -> Tensor | None:
        """Return the class of each example, (example,), for criteria that want some of each; None without classes."""

    def constant(self, train: Iterable[Batch], test: Iterable[Batch]) -> dict[str, float]:
        """Return the metrics on `test` of the best answer that looks at no input (majority class, mean, unigram)."""

    def check(self, outputs: Tensor, batch: Batch) -> None:
        """Check that outputs fit the task.

        Raises:
            ValueError: if they do not; says what was found and what is needed.
        """


class Adding:
    """A task whose tallies add up, and whose loss is a mean over examples."""

    def weight(self, batch: Batch) -> Tensor:
        return torch.tensor(len(next(iter(batch.values()))))

    def merge(self, some: Tally, more: Tally) -> Tally:
        return {name: value + more[name] for name, value in some.items()}


def total(task: Task, tallies: Iterable[Tally]) -> dict[str, float]:
    """Return the metrics of some tallies put together; there must be one at least."""
    return task.read(reduce(task.merge, tallies))


def called(call: Callable[..., Any], batch: Batch) -> Tensor:
    """Return what a network makes of a batch: of `x` where that is the only input, else of all inputs by their names.

    Raises:
        ValueError: if the network returns no tensor.
    """
    inputs = {name: value for name, value in batch.items() if name != "y"}
    return unwrapped(call(inputs["x"]) if inputs.keys() == {"x"} else call(**inputs))


def unwrapped(outputs: Any) -> Tensor:
    """Return the tensor in what a network returned: itself, `logits` or `last_hidden_state` (as of `transformers`), or
    the first of several.

    Raises:
        ValueError: if there is none.
    """
    if isinstance(outputs, Tensor):
        return outputs
    tensor = None
    for name in ("logits", "last_hidden_state"):
        if tensor is None:
            tensor = outputs.get(name) if isinstance(outputs, Mapping) else getattr(outputs, name, None)
    if tensor is None and isinstance(outputs, tuple | list) and outputs and isinstance(outputs[0], Tensor):
        tensor = outputs[0]
    if not isinstance(tensor, Tensor):
        raise ValueError(
            f"the network returns a {type(outputs).__name__}; a tensor, or an output with `logits`, is needed"
        )
    return tensor


def in_float(outputs: Tensor) -> Tensor:
    """Return outputs in float32 where they are of a smaller type."""
    return outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs
