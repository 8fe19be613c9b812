"""Language modelling: the next token of a stream."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lth.config import Metric
from lth.tasks.chunks import chunked_cross_entropy
from lth.tasks.task import Adding, Batch, Tally, called, in_float, total

IGNORED = -100
"""A target that does not count, as padding."""


@dataclass(frozen=True)
class LanguageModel(Adding):
    """The next token: batches hold `x` and `y`, (example, position) int64 token ids, `y` one position ahead of `x`.

    The network gives logits (example, position, vocabulary). Targets of -100 do not count.

    Args:
        vocabulary: number of tokens; the network may have more logits (a padded vocabulary).
        bytes_per_token: of the text that the tokens stand for, where the source knows it; adds bits per byte.
    """

    vocabulary: int
    bytes_per_token: float | None = None

    name: ClassVar[str] = "language-model"
    version: ClassVar[int] = 1
    stop_by: ClassVar[str] = "loss"
    has_softmax: ClassVar[bool] = True

    @property
    def metrics(self) -> tuple[Metric, ...]:
        per_byte = Metric("bits_per_byte", "lower", "bits", "cross-entropy, bits a byte of text")
        return (
            Metric("loss", "lower", "nats", "cross-entropy, nats a token"),
            Metric("perplexity", "lower", "plain", "exponential of the cross-entropy"),
            Metric("bits_per_token", "lower", "bits", "cross-entropy, bits a token"),
            *([] if self.bytes_per_token is None else [per_byte]),
        )

    def forward(self, call: Callable[..., Any], batch: Batch) -> Tensor:
        return called(call, batch)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        logits, targets = in_float(outputs).flatten(0, -2), batch["y"].flatten()
        losses = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
        return losses / (targets != IGNORED).sum().clamp(min=1)  # 0 where nothing counts, not NaN

    def num_logits(self, batch: Batch) -> int:
        return batch["y"].numel() * self.vocabulary

    def loss_in_chunks(self, call: Callable[..., Any], batch: Batch) -> Tensor:
        targets = batch["y"]
        losses = called(partial(call, read_out=partial(chunked_cross_entropy, targets=targets, ignored=IGNORED)), batch)
        return losses / (targets != IGNORED).sum().clamp(min=1)

    def weight(self, batch: Batch) -> Tensor:
        return (batch["y"] != IGNORED).sum()

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        targets = batch["y"].flatten()
        logits = in_float(outputs).flatten(0, -2)
        losses = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
        return {"loss": losses.double().sum(), "tokens": (targets != IGNORED).sum()}

    def read(self, tally: Tally) -> dict[str, float]:
        loss = float(tally["loss"]) / max(1, int(tally["tokens"]))
        bits = loss / math.log(2)
        values = {"loss": loss, "perplexity": math.exp(min(loss, 700.0)), "bits_per_token": bits}
        return values if self.bytes_per_token is None else values | {"bits_per_byte": bits / self.bytes_per_token}

    def relevant(self, outputs: Tensor, batch: Batch) -> Tensor:
        targets = batch["y"]
        chosen = outputs.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return torch.where(targets == IGNORED, 0, chosen).sum()

    def groups(self, batch: Batch) -> Tensor | None:
        return None

    def constant(self, train: Iterable[Batch], test: Iterable[Batch]) -> dict[str, float]:
        """Return the metrics of the unigram distribution of the training part, each token counted once more."""
        counts = torch.ones(self.vocabulary, dtype=torch.float64)
        for batch in train:
            counts += torch.bincount(_counted(batch), minlength=self.vocabulary)
        logits = (counts / counts.sum()).log()
        tallies = ({"loss": -logits[each].sum(), "tokens": torch.tensor(len(each))} for each in map(_counted, test))
        return total(self, tallies)

    def check(self, outputs: Tensor, batch: Batch) -> None:
        if batch["y"].ndim != 2:
            raise ValueError(f"targets have shape {tuple(batch['y'].shape)}; tokens, (example, position), are needed")
        wanted = (*batch["y"].shape, self.vocabulary)
        if outputs.ndim != 3 or outputs.shape[:2] != wanted[:2] or outputs.shape[2] < self.vocabulary:
            raise ValueError(
                f"it gives {tuple(outputs.shape)} for tokens of shape {tuple(batch['y'].shape)}; logits of shape "
                f"{wanted} are needed"
            )


def _counted(batch: Batch) -> Tensor:
    """Return the targets that count, (target,), on the CPU."""
    targets = batch["y"].cpu().flatten()
    return targets[targets != IGNORED]
