"""Metrics of a classification from the counts of its confusion matrix, which add up over batches and processes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lth.config import Metric
from lth.config.choices import Table
from lth.tasks.classification import ACCURACY


def confusion_of(outputs: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Return how many examples of each class are taken for which: (example, logit), (example,) -> int64.

    Returns:
        (class, class + 1); the last column counts those that are taken for none of the classes, by a further logit.
    """
    kinds = torch.arange(num_classes + 1, device=labels.device)
    is_of = labels.unsqueeze(-1) == kinds[:-1]  # (example, class)
    is_taken_for = outputs.argmax(-1).clamp(max=num_classes).unsqueeze(-1) == kinds  # (example, class + 1)
    return (is_of.double().T @ is_taken_for.double()).long()  # exact; whole numbers have no product on a GPU


def accuracy(confusion: Tensor) -> float:
    """Return the share of the examples that are classified rightly."""
    return int(confusion.diagonal().sum()) / int(confusion.sum())


def f1(confusion: Tensor) -> float:
    """Return the F1 of class 1, of two: 2 TP / (2 TP + FP + FN); 0 where class 1 neither occurs nor is named."""
    right = int(confusion[1, 1])
    others = int(confusion[0, 1]) + int(confusion[1, :].sum()) - right
    return 2 * right / max(1, 2 * right + others)


def matthews(confusion: Tensor) -> float:
    """Return the correlation of Matthews, of any number of classes; 0 where labels or answers are of one class.

    Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient".
    """
    answers, labels = confusion.sum(0).tolist(), [*confusion.sum(1).tolist(), 0]
    count = sum(labels)
    covariance = count * int(confusion.diagonal().sum()) - sum(a * b for a, b in zip(answers, labels, strict=True))
    spreads = [count**2 - sum(each**2 for each in counts) for counts in (answers, labels)]
    return covariance / math.sqrt(spreads[0] * spreads[1]) if all(spreads) else 0.0


@dataclass(frozen=True, slots=True)
class Counted:
    """A metric of a classification, and how it follows from the confusion matrix (class, class + 1)."""

    metric: Metric
    read: Callable[[Tensor], float]


COUNTED: Table[Counted] = Table(
    "metric",
    {
        "accuracy": Counted(ACCURACY, accuracy),
        "f1": Counted(Metric("f1", "higher", "fraction", "F1 of class 1"), f1),
        "matthews": Counted(Metric("matthews", "higher", "plain", "correlation of Matthews, -1 to 1"), matthews),
    },
)
