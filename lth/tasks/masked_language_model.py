"""Masked language modelling: tokens that the input hides."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lth.config import Metric
from lth.tasks.task import Batch, Tally, total
from lth.tasks.token_targets import NATS, PERPLEXITY, TokenTargets, counted, unigram

ACCURACY = Metric("accuracy", "higher", "fraction", "share of the masked tokens that are named rightly")


@dataclass(frozen=True)
class MaskedLanguageModel(TokenTargets):
    """Hidden tokens: batches hold inputs as `input_ids` and `attention_mask`, and `y`, (example, position) int64.

    `y` is -100 where nothing is asked. The network gives logits (example, position, vocabulary).

    Args:
        vocabulary: number of tokens; the network may have more logits (a padded vocabulary).

    Source: Devlin et al. 2018, arXiv:1810.04805; Chen et al. 2020, arXiv:2007.12223, compare by the accuracy.
    """

    vocabulary: int

    name: ClassVar[str] = "masked-language-model"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY, NATS, PERPLEXITY)

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        correct = outputs.argmax(-1) == batch["y"]  # never where nothing is asked: no token is -100
        return super().tally(outputs, batch) | {"correct": correct.sum()}

    def read(self, tally: Tally) -> dict[str, float]:
        return {"accuracy": int(tally["correct"]) / max(1, int(tally["tokens"]))} | super().read(tally)

    def constant(self, train: Iterable[Batch], test: Iterable[Batch]) -> dict[str, float]:
        """Return the metrics of the training part's distribution of targets, each token counted once more.

        The accuracy is that of its most frequent token.
        """
        logits = unigram(self.vocabulary, train)
        tallies = (
            {
                "loss": -logits[each].sum(),
                "tokens": torch.tensor(len(each)),
                "correct": (each == logits.argmax()).sum(),
            }
            for each in map(counted, test)
        )
        return total(self, tallies)
