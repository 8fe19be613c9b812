"""The sequences that criteria of activations look at when a language model is pruned at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lth.config import SettingsError
from lth.data import seeded_generator
from lth.launch.passages import passage_of
from lth.launch.specimen import Specimen
from lth.superweights.protocol import Protocol
from lth.superweights.texts import Passage
from lth.tasks.task import Batch


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a criterion of activations looks at.

    Attributes:
        text: a file, or `wikitext-2`; None takes the training part of the model's own data.
        sequences: how many blocks of the text are drawn.
        length: tokens of each; None takes 2,048, or the model's context where that is shorter.
        seed: of the draw.
    """

    text: str | None = None
    sequences: int = 128
    length: int | None = None
    seed: int = 0


def calibration_examples(
    specimen: Specimen, asked: Calibration, method: str, passage: Passage | None, folder: Path | None
) -> tuple[Tensor, dict[str, Any]]:
    """Return the sequences of the calibration, (sequence, position), and what documents say of them.

    Args:
        specimen: the model.
        asked: which sequences.
        method: that looks at them, as it was asked for.
        passage: the text that perplexity is measured on, if it is.
        folder: of data files, for texts.
    Raises:
        SettingsError: if no text is named and the model has no data of its own.
    """
    length = asked.length or min(2048, specimen.context or 2048)
    if asked.text is None:
        if specimen.data is None:
            raise SettingsError(f"{method} looks at activations: name a text with --calibrate, as wikitext-2")
        train = specimen.data.parts["train"]
        blocks, facts = train.take(torch.arange(len(train)), torch.device("cpu")), {"text": specimen.data.name}
        facts |= {"text_digest": train.digest}
    else:
        text = passage_of(specimen, asked.text, Protocol.parse(f"blocks:{length}"), folder)
        blocks = text.examples.take(torch.arange(len(text.examples)), torch.device("cpu"))
        facts = {name: str(text.facts[name]) for name in ("text", "text_digest")}
    x = _drawn(blocks, asked)
    is_leak = passage is not None and passage.facts["text_digest"] == facts["text_digest"]
    return x, facts | {
        "sequences": len(x),
        "length": x.shape[1],
        "tokens": x.numel(),
        "seed": asked.seed,
        "is_the_text_that_is_measured": is_leak,
    }


def _drawn(blocks: Batch, asked: Calibration) -> Tensor:
    order = torch.randperm(len(blocks["x"]), generator=seeded_generator("calibration", asked.seed))
    return blocks["x"][order[: asked.sequences].sort().values]
