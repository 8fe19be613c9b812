"""What tasks have in common whose targets are tokens: the cross-entropy over those that count."""

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lth.config import Metric
from lth.tasks.task import Adding, Batch, Tally, called, in_float

IGNORED = -100
"""A target that does not count, as padding."""

NATS = Metric("loss", "lower", "nats", "cross-entropy, nats a token")
PERPLEXITY = Metric("perplexity", "lower", "plain", "exponential of the cross-entropy")


class TokenTargets(Adding):
    """Targets `y` are (example, position) int64 token ids, of which those of -100 do not count.

    The network gives logits (example, position, vocabulary); it may have more of them (a padded vocabulary).
    """

    vocabulary: int

    stop_by: ClassVar[str] = "loss"
    has_softmax: ClassVar[bool] = True

    def forward(self, call: Callable[..., Any], batch: Batch) -> Tensor:
        return called(call, batch)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        logits, targets = in_float(outputs).flatten(0, -2), batch["y"].flatten()
        losses = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
        return losses / (targets != IGNORED).sum().clamp(min=1)  # 0 where nothing counts, not NaN

    def weight(self, batch: Batch) -> Tensor:
        return (batch["y"] != IGNORED).sum()

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        targets = batch["y"].flatten()
        logits = in_float(outputs).flatten(0, -2)
        losses = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
        return {"loss": losses.double().sum(), "tokens": (targets != IGNORED).sum()}

    def read(self, tally: Tally) -> dict[str, float]:
        loss = float(tally["loss"]) / max(1, int(tally["tokens"]))
        return {"loss": loss, "perplexity": math.exp(min(loss, 700.0))}

    def relevant(self, outputs: Tensor, batch: Batch) -> Tensor:
        targets = batch["y"]
        chosen = outputs.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return torch.where(targets == IGNORED, 0, chosen).sum()

    def groups(self, batch: Batch) -> Tensor | None:
        return None

    def check(self, outputs: Tensor, batch: Batch) -> None:
        if batch["y"].ndim != 2:
            raise ValueError(f"targets have shape {tuple(batch['y'].shape)}; tokens, (example, position), are needed")
        wanted = (*batch["y"].shape, self.vocabulary)
        if outputs.ndim != 3 or outputs.shape[:2] != wanted[:2] or outputs.shape[2] < self.vocabulary:
            raise ValueError(
                f"it gives {tuple(outputs.shape)} for tokens of shape {tuple(batch['y'].shape)}; logits of shape "
                f"{wanted} are needed"
            )


def unigram(vocabulary: int, train: Iterable[Batch]) -> Tensor:
    """Return log-probabilities (vocabulary,) of the targets that count, each token counted once more, in float64."""
    counts = torch.ones(vocabulary, dtype=torch.float64)
    for batch in train:
        counts += torch.bincount(counted(batch), minlength=vocabulary)
    return (counts / counts.sum()).log()


def counted(batch: Batch) -> Tensor:
    """Return the targets that count, (target,), on the CPU."""
    targets = batch["y"].cpu().flatten()
    return targets[targets != IGNORED]
