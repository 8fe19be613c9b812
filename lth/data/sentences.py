"""Texts that are to become tokens: one sentence an example, or two."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lth.data.untokenised import Untokenised


@dataclass(frozen=True, slots=True, eq=False)
class Sentences(Untokenised):
    """One part of a data set of texts; `tokenised` makes rows of tokens of it.

    Attributes:
        first: the sentence of each example, or the first of two.
        second: the second; None where there is one.
        y: (example, ...) the answers.
        length: most tokens of an example.
        tokenizer: the folder or file of the tokenizer, where one was named; else that of the model.
        buckets: whether training batches are to hold examples of similar length.
    """

    first: tuple[str, ...]
    second: tuple[str, ...] | None
    y: Tensor
    length: int = 128
    tokenizer: Path | None = None
    buckets: bool = True

    @property
    def texts_digest(self) -> str:
        """The SHA-256, in hex, of the sentences alone."""
        content = hashlib.sha256(f"sentences {self.second is not None}".encode())
        for texts in (self.first, self.second or ()):
            for text in texts:
                content.update(text.encode() + b"\0")
        return content.hexdigest()

    @property
    def digest(self) -> str:
        content = hashlib.sha256(f"{self.texts_digest} {self.y.dtype} {tuple(self.y.shape)}".encode())
        content.update(self.y.contiguous().numpy().tobytes())
        return content.hexdigest()

    def __len__(self) -> int:
        return len(self.first)
