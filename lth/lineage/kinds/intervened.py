"""A network measured on a text, block by block, while some of its weights are changed."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from lth.config import check_choice
from lth.lineage.measuring import Measuring
from lth.lineage.nodes import DataSpec, WeightsNode
from lth.lineage.reader import Measured, Reader
from lth.lineage.work import Hooks
from lth.superweights.interventions import Intervention, applied
from lth.superweights.texts import block_losses, perplexity_of
from lth.training import Interrupted, Where


class Intervened(Measuring):
    """The losses of a language model on each block of a text, under an intervention.

    Measured are loss and perplexity over all blocks; the document holds the losses of each, and the mean probability of
    stop words where some are given.

    Attributes:
        weights: of the network.
        data: the text under a protocol (`lth.superweights.passage`).
        intervention: what is changed meanwhile.
        part: of the data.
        precision: of the weights.
        stop_words: ids of the tokens whose probability is summed.
    """

    format: ClassVar[str] = "lth.intervened/1"

    weights: WeightsNode
    data: DataSpec
    intervention: Intervention
    part: str = "test"
    precision: str = "float32"
    stop_words: tuple[int, ...] = ()

    def measure(self, reader: Reader, where: Where, hooks: Hooks) -> dict[str, Any]:
        from lth.lineage.loaded import module_of

        parts = reader.parts(self.data)
        examples = parts[check_choice("part of the data", self.part, parts)]
        module = module_of(reader, self.weights, self.precision, where.device, where.offload)
        wanted = torch.tensor(self.stop_words, dtype=torch.int64, device=where.device)
        probabilities = [0.0] * len(examples)

        def see(block: int, logits: Tensor, _: Tensor) -> None:
            probabilities[block] += float(logits.softmax(-1)[:, wanted].double().sum())

        def before(block: int) -> None:
            if hooks.should_stop():
                raise Interrupted

        with applied(module, self.intervention):
            nats, tokens = block_losses(module, examples, where.device, see if len(wanted) else None, before)
        values = {f"{self.part}/{name}": value for name, value in perplexity_of(nats, tokens).items()}
        means = [total / max(1, count) for total, count in zip(probabilities, tokens.tolist(), strict=True)]
        return {
            "items": [{name: value for name, value in values.items() if math.isfinite(value)}],
            "nats": [_finite(each) for each in nats.tolist()],
            "tokens": tokens.tolist(),
            "stop_words": [_finite(each) for each in means] if self.stop_words else None,
        }

    def measured(self, document: dict[str, Any]) -> list[Measured]:
        return [Measured(end=item, steps=self.steps) for item in document["items"]]

    def words(self) -> str:
        return f"{self.intervention.words()}: losses of {self.weights.key[:8]} on the {self.part} part, by block"


def _finite(value: float) -> float | None:
    """Return a number, or None for one that JSON has not."""
    return value if math.isfinite(value) else None
