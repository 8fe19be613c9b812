"""A task whose measurements are a function of the user's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from lth.config import Metric
from lth.tasks.task import Adding, Batch, Tally, unwrapped


@dataclass(frozen=True)
class Yours(Adding):
    """Networks are measured by a function of the user's, network -> {metric: value}, and trained by another one.

    Args:
        metrics_better: which direction is better, by metric: `{"score": "higher"}`; the first one is compared.
        evaluate: name of the function.
        evaluate_version: raised by the user when its numbers change.
    """

    evaluate: str
    metrics_better: dict[str, Literal["higher", "lower"]] = field(default_factory=lambda: {"score": "higher"})
    evaluate_version: str = "1"

    name: ClassVar[str] = "yours"
    version: ClassVar[int] = 1

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(Metric(name, better) for name, better in self.metrics_better.items())

    @property
    def stop_by(self) -> str:
        return next(iter(self.metrics_better))

    def forward(self, call: Callable[..., Any], batch: Batch) -> Tensor:
        return unwrapped(call(batch["x"]))

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        raise ValueError("your own task has no loss that lth knows: train by a function of your own, with train=")

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        raise ValueError("your own task is measured by your function alone")

    def read(self, tally: Tally) -> dict[str, float]:
        return {name: float(value) for name, value in tally.items()}

    def relevant(self, outputs: Tensor, batch: Batch) -> Tensor:
        return outputs.sum()

    def groups(self, batch: Batch) -> Tensor | None:
        return None

    def constant(self, train: Iterable[Batch], test: Iterable[Batch]) -> dict[str, float]:
        return {}

    def check(self, outputs: Tensor, batch: Batch) -> None: ...


def checked_values(task: Yours, values: Any) -> dict[str, float]:
    """Return what the user's function measured, as floats.

    Raises:
        ValueError: if a metric is missing or is no number.
    """
    wanted = list(task.metrics_better)
    if not isinstance(values, dict) or any(name not in values for name in wanted):
        raise ValueError(
            f"your function {task.evaluate!r} returned {values!r}; a dict with {', '.join(wanted)} is needed"
        )
    return {name: float(torch.as_tensor(values[name]).detach()) for name in wanted}
