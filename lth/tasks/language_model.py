"""Language modelling: the next token of a stream."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from lth.config import Metric
from lth.tasks.chunks import chunked_cross_entropy
from lth.tasks.task import Batch, Tally, called, total
from lth.tasks.token_targets import IGNORED, NATS, PERPLEXITY, TokenTargets, counted, unigram


@dataclass(frozen=True)
class LanguageModel(TokenTargets):
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

    @property
    def metrics(self) -> tuple[Metric, ...]:
        per_byte = Metric("bits_per_byte", "lower", "bits", "cross-entropy, bits a byte of text")
        return (
            NATS,
            PERPLEXITY,
            Metric("bits_per_token", "lower", "bits", "cross-entropy, bits a token"),
            *([] if self.bytes_per_token is None else [per_byte]),
        )

    def num_logits(self, batch: Batch) -> int:
        return batch["y"].numel() * self.vocabulary

    def loss_in_chunks(self, call: Callable[..., Any], batch: Batch) -> Tensor:
        targets = batch["y"]
        losses = called(partial(call, read_out=partial(chunked_cross_entropy, targets=targets, ignored=IGNORED)), batch)
        return losses / (targets != IGNORED).sum().clamp(min=1)

    def read(self, tally: Tally) -> dict[str, float]:
        values = super().read(tally)
        values["bits_per_token"] = bits = values["loss"] / math.log(2)
        return values if self.bytes_per_token is None else values | {"bits_per_byte": bits / self.bytes_per_token}

    def constant(self, train: Iterable[Batch], test: Iterable[Batch]) -> dict[str, float]:
        """Return the metrics of the unigram distribution of the training part, each token counted once more."""
        logits = unigram(self.vocabulary, train)
        tallies = ({"loss": -logits[each].sum(), "tokens": torch.tensor(len(each))} for each in map(counted, test))
        return total(self, tallies)
