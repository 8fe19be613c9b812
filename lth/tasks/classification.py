"""Classification: one class per example."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lth.config import Metric
from lth.config.choices import Table
from lth.tasks.task import Adding, Batch, Tally, called, in_float, total

ACCURACY = Metric("accuracy", "higher", "fraction", "share of the examples that are classified rightly")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the softmax cross-entropy in nats of each example: (..., class), (...) -> (...)."""
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)


def mean_squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the squared distance of the logits to the one-hot label, mean over classes: (..., class), (...) -> (...).

    The logits are taken as they are, with no softmax before, as `torch.nn.MSELoss` takes them.
    """
    one_hot = labels.unsqueeze(-1) == torch.arange(logits.shape[-1], device=logits.device)
    return (logits - one_hot.to(logits.dtype)).square().mean(-1)


LOSSES: Table[Callable[[Tensor, Tensor], Tensor]] = Table(
    "loss", {"cross_entropy": cross_entropy, "mean_squared_error": mean_squared_error}
)


@dataclass(frozen=True)
class Classification(Adding):
    """One class per example: batches hold inputs and `y`, (example,) int64; the network gives one logit per class.

    Args:
        num_classes: number of classes.
        minimise: entry of LOSSES.
    Raises:
        ValueError: if the loss is unknown.
    """

    num_classes: int
    minimise: str = "cross_entropy"

    name: ClassVar[str] = "classification"
    version: ClassVar[int] = 1
    stop_by: ClassVar[str] = "loss"
    losses: ClassVar[Table[Callable[[Tensor, Tensor], Tensor]]] = LOSSES

    def __post_init__(self) -> None:
        LOSSES.pick(self.minimise)

    @property
    def has_softmax(self) -> bool:
        """Whether the loss puts a softmax on the outputs."""
        return self.minimise == "cross_entropy"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        nats = self.minimise == "cross_entropy"
        words = "cross-entropy, nats an example" if nats else "squared distance of the outputs to the one-hot label"
        return ACCURACY, Metric("loss", "lower", "nats" if nats else "plain", words)

    def forward(self, call: Callable[..., Any], batch: Batch) -> Tensor:
        return called(call, batch)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        outputs, labels = in_float(outputs), batch["y"]
        if self.minimise == "cross_entropy":  # one kernel in place of two, forward and backward
            return F.cross_entropy(outputs.flatten(0, -2), labels.flatten())
        return LOSSES[self.minimise](outputs, labels).mean()

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        labels = batch["y"]
        correct = outputs.argmax(-1) == labels  # (example,)
        is_of = labels.unsqueeze(-1) == torch.arange(self.num_classes, device=labels.device)  # (example, class)
        losses = LOSSES[self.minimise](in_float(outputs), labels)
        return {
            "loss": losses.double().sum(),
            "examples": is_of.sum(0),
            "correct": (is_of & correct.unsqueeze(-1)).sum(0),
        }

    def read(self, tally: Tally) -> dict[str, float]:
        count = int(tally["examples"].sum())
        values = {"accuracy": int(tally["correct"].sum()) / count, "loss": float(tally["loss"]) / count}
        by_class = zip(tally["correct"].tolist(), tally["examples"].tolist(), strict=True)
        return values | {
            f"accuracy of class {label}": correct / examples
            for label, (correct, examples) in enumerate(by_class)
            if examples
        }

    def relevant(self, outputs: Tensor, batch: Batch) -> Tensor:
        return outputs.gather(1, batch["y"].unsqueeze(1)).sum()

    def groups(self, batch: Batch) -> Tensor | None:
        return batch["y"]

    def constant(self, train: Iterable[Batch], test: Iterable[Batch]) -> dict[str, float]:
        counts = sum(torch.bincount(batch["y"].cpu(), minlength=self.num_classes) for batch in train)
        assert isinstance(counts, Tensor)
        shares = counts.double() / counts.sum()
        # The best logits without a look at the input: log frequencies for cross-entropy, frequencies for squares.
        logits = shares.clamp(min=1e-12).log() if self.minimise == "cross_entropy" else shares
        return total(self, (self.tally(logits.expand(len(each["y"]), -1), {"y": each["y"].cpu()}) for each in test))

    def check(self, outputs: Tensor, batch: Batch) -> None:
        labels, examples = batch["y"], len(batch["y"])
        if labels.ndim != 1 or labels.dtype != torch.int64:
            raise ValueError(
                f"targets are {labels.dtype} of shape {tuple(labels.shape)}; classes, (example,) int64, are needed"
            )
        if outputs.ndim != 2 or len(outputs) != examples or outputs.shape[1] < self.num_classes:
            raise ValueError(
                f"it gives {tuple(outputs.shape)} for {examples} examples; logits of shape "
                f"({examples}, {self.num_classes}) are needed"
            )
