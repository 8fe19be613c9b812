"""Regression: numbers as targets."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lth.config import Metric
from lth.tasks.task import Adding, Batch, Tally, called, in_float, total


@dataclass(frozen=True)
class Regression(Adding):
    """Numbers as targets: batches hold `x` and `y`, (example, ...) floats; the network gives a number for each target.

    A network whose outputs have one axis of length 1 more than the targets fits too. R2 is pooled over all targets: 1
    minus the squared error over the squared distance from the test part's own mean.
    """

    name: ClassVar[str] = "regression"
    version: ClassVar[int] = 1
    stop_by: ClassVar[str] = "loss"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("r2", "higher", "plain", "share of the variance that is explained"),
        Metric("loss", "lower", "plain", "mean squared error"),
    )

    def forward(self, call: Callable[..., Any], batch: Batch) -> Tensor:
        return called(call, batch)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return (fitted(outputs, batch["y"]) - batch["y"]).square().mean()

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        targets = batch["y"].double()
        errors = (fitted(outputs, batch["y"]).double() - targets).square()
        return {
            "errors": errors.sum(),
            "targets": targets.sum(0),
            "squares": targets.square().sum(0),
            "examples": torch.tensor(len(targets), device=targets.device),
        }

    def read(self, tally: Tally) -> dict[str, float]:
        examples = int(tally["examples"])
        spread = float((tally["squares"] - tally["targets"].square() / examples).sum())
        errors = float(tally["errors"])
        return {
            "r2": 1 - errors / spread if spread > 0 else 0.0,
            "loss": errors / (examples * max(1, tally["targets"].numel())),
        }

    def relevant(self, outputs: Tensor, batch: Batch) -> Tensor:
        return outputs.sum()

    def groups(self, batch: Batch) -> Tensor | None:
        return None

    def constant(self, train: Iterable[Batch], test: Iterable[Batch]) -> dict[str, float]:
        targets = [batch["y"].cpu().double() for batch in train]
        mean = torch.stack([each.sum(0) for each in targets]).sum(0) / sum(map(len, targets))
        return total(self, (self.tally(mean.expand(each["y"].shape), {"y": each["y"].cpu()}) for each in test))

    def check(self, outputs: Tensor, batch: Batch) -> None:
        targets = batch["y"]
        if not targets.is_floating_point():
            raise ValueError(f"targets are {targets.dtype}; floats are needed")
        if outputs.shape not in (targets.shape, (*targets.shape, 1)):
            raise ValueError(
                f"it gives {tuple(outputs.shape)} for targets of shape {tuple(targets.shape)}; one number for each "
                "target is needed"
            )


def fitted(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return outputs in the shape of the targets."""
    return in_float(outputs.squeeze(-1) if outputs.ndim > targets.ndim else outputs)
