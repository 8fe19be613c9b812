"""What a tokenizer is, and which there are."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint16]
"""Token ids, (token,)."""

LARGEST_VOCABULARY = 1 << 16
"""What uint16 holds."""


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back: a frozen value that can be pickled."""

    @property
    def name(self) -> str:
        """Its entry in TOKENS."""

    @property
    def vocabulary(self) -> int:
        """Number of different tokens, at most 65,536."""

    @property
    def end_of_text(self) -> int | None:
        """The token that follows each document; None where there is none."""

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of what determines the ids."""

    def encode(self, text: str) -> Ids:
        """Return the ids of a text, (token,) uint16.

        Raises:
            ValueError: if the text has something that no token stands for.
        """

    def decode(self, ids: Ids) -> str:
        """Return the text that ids, (token,), stand for; bytes that are no UTF-8 become U+FFFD.

        Raises:
            ValueError: if an id is none of the vocabulary.
        """


def check_ids(ids: Ids, vocabulary: int) -> None:
    """Check that all ids are of the vocabulary.

    Raises:
        ValueError: if one is not.
    """
    if len(ids) and not 0 <= int(np.min(ids)) <= int(np.max(ids)) < vocabulary:
        found = next(int(each) for each in ids if not 0 <= each < vocabulary)
        raise ValueError(f"token {found} is none of this vocabulary: ids are 0 to {vocabulary - 1}")
