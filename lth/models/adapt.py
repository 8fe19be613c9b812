"""Inputs of one data set in the shape of another's, so that one network takes both."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lth.config import Table
from lth.data import Data, Examples
from lth.models.images import as_images, image_shape
from lth.tasks.task import Batch


def pad(images: Tensor, height: int, width: int) -> Tensor:
    """Return images, (batch, channel, height, width), in the centre of larger ones; what is added is 0.

    Raises:
        ValueError: if they are larger.
    """
    rows, columns = height - images.shape[-2], width - images.shape[-1]
    if min(rows, columns) < 0:
        raise ValueError(
            f"adapt: images of {images.shape[-2]}x{images.shape[-1]} pixels are larger than {height}x{width}: choose "
            "'resize'"
        )
    return F.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Return images, (batch, channel, height, width), scaled to this size: bilinear, smoothed where they shrink."""
    return F.interpolate(images, (height, width), mode="bilinear", align_corners=False, antialias=True)


Rule = Callable[[Tensor, int, int], Tensor]

ADAPTERS: Table[Rule] = Table("rule for inputs", {"pad": pad, "resize": resize})
"""How images get another size; channels are repeated or averaged, and zeros stand behind flat features, in all."""


VERSION = 1
"""Raised when rules give other numbers: digests of adapted data hold it."""


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """Examples whose inputs `x` are given another shape when they are taken.

    Attributes:
        examples: as they are stored.
        shape: of one input, as it is taken.
        rule: entry of ADAPTERS.
    """

    examples: Examples
    shape: tuple[int, ...]
    rule: str

    @property
    def digest(self) -> str:
        text = f"{self.rule} {VERSION} to {list(self.shape)}: {self.examples.digest}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def num_bytes(self) -> int:
        """Memory that the examples take, if they know it."""
        return getattr(self.examples, "num_bytes", 0)

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, indices: Tensor, device: torch.device) -> Batch:
        batch = self.examples.take(indices, device)
        return {**batch, "x": fitted(batch["x"], self.shape, self.rule)}


def adapted(data: Data, other: Data, rule: str) -> Data:
    """Return data whose inputs have the shape of those of another data set; data of that shape as they are.

    Args:
        data: what is adapted.
        other: whose shape it gets.
        rule: entry of ADAPTERS, or `none`.
    Raises:
        ValueError: if shapes differ and no rule is given, or it cannot make one of the other.
    """
    if data.facts.get("input_shape") == other.facts.get("input_shape"):
        return data
    own, wanted = _shape(data), _shape(other)
    if rule == "none":
        raise ValueError(
            f"adapt: inputs of {data.name} are {_words(own)} and those of {other.name} {_words(wanted)}: choose "
            f"{' or '.join(ADAPTERS)}"
        )
    ADAPTERS.pick(rule)
    first = next(iter(data.parts.values())).take(torch.arange(1), torch.device("cpu"))
    fitted(first["x"], wanted, rule)  # says if it cannot
    parts = {name: Adapted(part, wanted, rule) for name, part in data.parts.items()}
    note = f"adapted from inputs of {_words(own)} to the {_words(wanted)} of {other.name} by the rule {rule!r}"
    facts: Mapping[str, Any] = {
        **data.facts,
        "input_shape": wanted,
        "note": f"{data.facts['note']}, {note}" if data.facts.get("note") else note,
    }
    return replace(data, parts=parts, facts=facts)


def fitted(inputs: Tensor, shape: Sequence[int], rule: str) -> Tensor:
    """Return inputs, (batch, *own shape), as (batch, *shape).

    Raises:
        ValueError: if they do not fit.
    """
    if inputs.ndim == 2 or len(shape) == 1:
        return _zeros_behind(inputs.flatten(1), prod(shape)).reshape(-1, *shape)
    channel, height, width = image_shape(shape)
    images = as_images(inputs.float())  # (batch, channel, height, width)
    if tuple(images.shape[-2:]) != (height, width):
        images = ADAPTERS.pick(rule)(images, height, width)
    images = _with_channels(images, channel)
    if len(shape) == 2:
        return images.squeeze(1)
    return images if tuple(shape) == (channel, height, width) else images.movedim(1, -1)


def _zeros_behind(features: Tensor, number: int) -> Tensor:
    if features.shape[1] > number:
        raise ValueError(
            f"adapt: {features.shape[1]} features do not fit into {number} inputs; transfer in the other direction"
        )
    return F.pad(features, (0, number - features.shape[1]))


def _with_channels(images: Tensor, number: int) -> Tensor:
    own = images.shape[1]
    if own == number:
        return images
    grey = images if own == 1 else images.mean(1, keepdim=True)
    return grey.repeat(1, number, 1, 1) if number > 1 else grey


def _shape(data: Data) -> tuple[int, ...]:
    shape = data.facts.get("input_shape")
    if shape is None:
        if "vocabulary" in data.facts:
            raise ValueError(f"adapt: inputs of {data.name} are tokens, which no rule makes anything else of")
        raise ValueError(f"adapt: {data.name} has no single input of one shape, which a rule could change")
    return tuple(shape)


def _words(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} features"
