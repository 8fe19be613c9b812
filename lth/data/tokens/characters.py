"""A token per character."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lth.data.tokens.tokenizer import LARGEST_VOCABULARY, Ids, check_ids

END = "\n"
"""The character that follows each document."""


@dataclass(frozen=True, slots=True)
class Characters:
    """A token per character.

    Args:
        characters: all of them, in the order of Unicode; the id of one is its position.
        has_documents: whether a line feed, which then is one of them, follows each document.
    Raises:
        ValueError: if there are none, more than uint16 can number, or they are not in order.
    """

    characters: str
    has_documents: bool = False

    def __post_init__(self) -> None:
        if not 0 < len(self.characters) <= LARGEST_VOCABULARY:
            raise ValueError(
                f"{len(self.characters):,} different characters: a token is a uint16, for 1 to {LARGEST_VOCABULARY:,}. "
                "Use --tokens gpt2"
            )
        if list(self.characters) != sorted(set(self.characters)):
            raise ValueError("characters are not in the order of Unicode, each of them once")

    @property
    def name(self) -> str:
        return "char"

    @property
    def vocabulary(self) -> int:
        return len(self.characters)

    @property
    def end_of_text(self) -> int | None:
        return self.characters.index(END) if self.has_documents else None

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.characters.encode("utf-8", "surrogatepass")).hexdigest()

    def encode(self, text: str) -> Ids:
        alphabet, points = code_points(self.characters), code_points(text)
        ids = np.searchsorted(alphabet, points)  # (character,)
        is_known = alphabet[np.minimum(ids, len(alphabet) - 1)] == points
        if not is_known.all():
            place = int(np.argmin(is_known))
            raise ValueError(f"the character {text[place]!r} at position {place} is none of the {len(alphabet)} known")
        return ids.astype(np.uint16)

    def decode(self, ids: Ids) -> str:
        check_ids(ids, self.vocabulary)
        return text_of(code_points(self.characters)[ids])


def different_characters(texts: Iterable[str]) -> str:
    """Return the different characters of some texts, in the order of Unicode."""
    found = np.zeros(0, dtype="<u4")
    for text in texts:
        found = np.union1d(found, code_points(text))
    return text_of(found)


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the Unicode code points of a text, (character,) uint32."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def text_of(points: NDArray[np.uint32]) -> str:
    """Return the text of code points, (character,)."""
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
