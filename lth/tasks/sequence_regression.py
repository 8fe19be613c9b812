"""One number per sequence, measured by correlations."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lth.config import Metric
from lth.tasks.correlation import pearson, spearman
from lth.tasks.regression import Regression, fitted
from lth.tasks.task import Batch, Tally


@dataclass(frozen=True)
class SequenceRegression(Regression):
    """One number per sequence, as in STS-B: batches hold `input_ids`, `attention_mask` and `y`, (example, 1) floats.

    The loss is the squared error, as in a regression; the metrics are the correlations of GLUE's STS-B, in float64. The
    correlation of a constant answer, which is not defined, counts as 0, and so no measurement is NaN for that reason.
    Ranks need the values themselves: tallies hold them all, and are put together by appending.

    Args:
        num_targets: numbers per sequence; correlations are of one.
    Raises:
        ValueError: if there are several numbers per sequence.

    Source: Wang et al. 2019, arXiv:1804.07461.
    """

    num_targets: int = 1

    name: ClassVar[str] = "sequence-regression"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("pearson", "higher", "plain", "correlation with the targets, -1 to 1"),
        Metric("spearman", "higher", "plain", "correlation of the ranks, -1 to 1"),
        Metric("loss", "lower", "plain", "mean squared error"),
    )

    def __post_init__(self) -> None:
        if self.num_targets != 1:
            raise ValueError(f"a correlation is of one number an example; the data have {self.num_targets}")

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        return {
            "outputs": fitted(outputs, batch["y"]).double().flatten(),
            "targets": batch["y"].double().flatten(),
        }

    def merge(self, some: Tally, more: Tally) -> Tally:
        return {name: torch.cat([value, more[name]]) for name, value in some.items()}

    def read(self, tally: Tally) -> dict[str, float]:
        outputs, targets = tally["outputs"], tally["targets"]
        return {
            "pearson": pearson(outputs, targets),
            "spearman": spearman(outputs, targets),
            "loss": float((outputs - targets).square().mean()),
        }

    def check(self, outputs: Tensor, batch: Batch) -> None:
        super().check(outputs, batch)
        if batch["y"].numel() != len(batch["y"]):
            raise ValueError(
                f"targets have shape {tuple(batch['y'].shape)}; one number an example, (example,) or (example, 1), is "
                "needed"
            )
