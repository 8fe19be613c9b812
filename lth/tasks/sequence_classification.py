"""Classification of sequences, measured as GLUE measures it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lth.config import Metric
from lth.tasks.classification import LOSSES, Classification
from lth.tasks.confusion import COUNTED, confusion_of
from lth.tasks.task import Batch, Tally, in_float


@dataclass(frozen=True)
class SequenceClassification(Classification):
    """One class per sequence, as in GLUE: batches hold `input_ids`, `attention_mask` and `y`, (example,) int64.

    Everything is as in a classification but what is measured: accuracy (most tasks of GLUE), F1 of class 1 (QQP, MRPC)
    or the correlation of Matthews (CoLA), each from counts, with scikit-learn's values where nothing is to be divided.

    Args:
        num_classes: number of classes.
        minimise: entry of LOSSES.
        measures: entries of COUNTED; the first is the one that a verdict compares.
    Raises:
        ValueError: if a measure or the loss is unknown, or the number of classes is none that a measure has a meaning
            for.

    Source: Wang et al. 2019, arXiv:1804.07461.
    """

    measures: tuple[str, ...] = ("accuracy",)

    name: ClassVar[str] = "sequence-classification"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "measures", tuple(self.measures))  # JSON has lists alone
        for measure in self.measures:
            COUNTED.pick(measure)
        if not self.measures or len(set(self.measures)) < len(self.measures):
            raise ValueError(f"measures are {list(self.measures)}: name at least one, and each once")
        if "f1" in self.measures and self.num_classes != 2:
            raise ValueError(f"measure 'f1' is of two classes, and there are {self.num_classes}: take accuracy")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        *_, loss = super().metrics
        return *(COUNTED[measure].metric for measure in self.measures), loss

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        losses = LOSSES[self.minimise](in_float(outputs), batch["y"])
        return {"loss": losses.double().sum(), "confusion": confusion_of(outputs, batch["y"], self.num_classes)}

    def read(self, tally: Tally) -> dict[str, float]:
        confusion = tally["confusion"]
        counts = {"examples": confusion.sum(1), "correct": confusion.diagonal()}
        return {name: COUNTED[name].read(confusion) for name in self.measures} | super().read(tally | counts)

    def constant(self, train: Iterable[Batch], test: Iterable[Batch]) -> dict[str, float]:
        """Return each metric of the one class that is best by it in training: the majority; by F1 the positive class.

        The loss is that of the classes' frequencies.
        """
        labels = [[{"y": batch["y"].cpu()} for batch in part] for part in (train, test)]
        values = super().constant(*labels)
        counts = [
            torch.bincount(torch.cat([each["y"] for each in part]), minlength=self.num_classes) for part in labels
        ]
        for name in self.measures:
            read, classes = COUNTED[name].read, range(self.num_classes)
            best = max(classes, key=lambda one: read(_always(one, counts[0])))
            values[name] = read(_always(best, counts[1]))
        return values


def _always(answer: int, counts: Tensor) -> Tensor:
    """Return the confusion matrix of one answer to all examples: (class,) counts -> (class, class + 1)."""
    confusion = counts.new_zeros(len(counts), len(counts) + 1)
    confusion[:, answer] = counts
    return confusion
