"""A data set as every other room sees it: named parts of examples, and facts about them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from lth.config import check_choice
from lth.tasks.task import Batch

if TYPE_CHECKING:
    from lth.data.tokens.tokenizer import Tokenizer


class Examples(Protocol):
    """One part of a data set."""

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of everything that the examples are made from."""

    def __len__(self) -> int: ...

    def take(self, indices: Tensor, device: torch.device) -> Batch:
        """Return the examples at these positions, (example,) int64, on a device; floats come as float32."""


Parts = Mapping[str, Examples]
"""What a training reads: `train`, `validation` and `test` (further parts whose names begin with `test` are read at the
end too)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Data:
    """A data set. Two values are the same data exactly when their `digest` is the same; it can be pickled.

    Attributes:
        name: a short name for reports; it does not enter the digest.
        parts: `train` and `test`; `validation` where the source has one of its own.
        facts: what a model's factory or a task may ask for by name: `input_shape`, `num_classes`, `num_targets`,
            `vocabulary`, `block`, `bytes_per_token`, `measures` (names of metrics, the first one first), `note` (what
            is to be known where a score stands, in words that go on from 'The data are').
        task: what the data is for, an entry of TASKS.
        tokenizer: what its tokens stand for, where that is known; it does not enter the digest.
    """

    name: str
    parts: Mapping[str, Examples]
    facts: Mapping[str, Any] = field(default_factory=dict)
    task: str = "classification"
    tokenizer: "Tokenizer | None" = None
    _digest: str = field(default="", init=False)

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of all parts."""
        if not self._digest:
            text = json.dumps({name: part.digest for name, part in sorted(self.parts.items())})
            object.__setattr__(self, "_digest", hashlib.sha256(text.encode()).hexdigest())
        return self._digest

    @property
    def tokens_per_example(self) -> int | None:
        """Tokens of an example, where examples are tokens."""
        return self.facts.get("block")

    def examples(self, part: str) -> Batch:
        """Return all examples of a part in one batch, as trainings see them: tensors by name, floats as float32.

        Raises:
            ValueError: if there is no such part.

        Example:
            >>> batch = load_data("digits").examples("test")
            >>> inputs, labels = batch["x"], batch["y"]
        """
        examples = self.parts[check_choice("part", part, self.parts)]
        return examples.take(torch.arange(len(examples)), torch.device("cpu"))

    def __repr__(self) -> str:
        """Return one line: printing sixty thousand images helps nobody."""
        parts = ", ".join(f"{len(part):,} {name}" for name, part in self.parts.items())
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        return f"Data({self.name!r}: {parts} examples; {facts}; for {self.task})"


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """Some examples of another part.

    Attributes:
        examples: the part.
        indices: (example,) int64, positions in it.
    """

    examples: Examples
    indices: Tensor

    @property
    def digest(self) -> str:
        return hashlib.sha256((self.examples.digest + tensor_digest(self.indices)).encode()).hexdigest()

    @property
    def num_bytes(self) -> int:
        """Memory that the examples take, if they know it."""
        return getattr(self.examples, "num_bytes", 0) + self.indices.nbytes

    @property
    def is_bucketed(self) -> bool:
        """Whether training batches hold examples of similar length."""
        return getattr(self.examples, "is_bucketed", False)

    @property
    def lengths(self) -> Tensor | None:
        """Tokens of each example, (example,), where they have lengths."""
        lengths = lengths_of(self.examples)
        return None if lengths is None else lengths[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, indices: Tensor, device: torch.device) -> Batch:
        return self.examples.take(self.indices[indices.cpu()], device)


def batches_of(
    examples: Examples, size: int, device: torch.device | None = None, first: int = 0, every: int = 1
) -> Iterator[Batch]:
    """Give all examples in order, in batches of this size; the last one may be smaller.

    Args:
        examples: a part of the data.
        size: of a batch.
        device: where they go.
        first: the batch to begin with.
        every: take one batch of so many.
    """
    for start in range(first * size, len(examples), every * size):
        yield examples.take(torch.arange(start, min(start + size, len(examples))), device or torch.device("cpu"))


def evaluation_batches(examples: Examples, size: int, tokens: int) -> list[Tensor]:
    """Return the positions of the examples of each batch of an evaluation, (example,) each.

    Examples that have lengths come shortest first, so that batches hold little padding: metrics add up over the
    examples, in any order. Others come in order.

    Args:
        examples: a part of the data.
        size: most examples of a batch.
        tokens: most tokens of a batch, padding included; a longer example stands alone.
    """
    lengths = lengths_of(examples)
    if not len(examples):
        return []
    if lengths is None:
        return list(torch.split(torch.arange(len(examples)), size))
    order = lengths.argsort(stable=True)
    cuts, first = [], 0
    for place, length in enumerate(lengths[order].tolist()):
        if place > first and (place - first == size or (place - first + 1) * length > tokens):
            cuts.append(place)
            first = place
    return list(order.tensor_split(cuts))


def lengths_of(examples: Examples) -> Tensor | None:
    """Return the tokens of each example, (example,), where they have lengths."""
    lengths: Tensor | None = getattr(examples, "lengths", None)
    return lengths


def tensor_digest(tensor: Tensor) -> str:
    """Return the SHA-256, in hex, of dtype, shape and bytes."""
    content = hashlib.sha256(json.dumps({"dtype": str(tensor.dtype), "shape": list(tensor.shape)}).encode())
    content.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()
