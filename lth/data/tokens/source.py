"""What tokens are made from: shards of text, and where they come from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lth.data.order import seeded_generator
from lth.data.tokens.texts import Shard

SEED = 2357
"""Of the documents that are held out, as in nanoGPT."""
SHARE = 0.0005
"""Of the documents that are held out, as in nanoGPT."""
SHARD_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """Text to tokenise.

    Attributes:
        shards: its text; the tokens of a part are those of the shards, in this order.
        split: how parts are cut, in words.
        facts: where it comes from, for `tokens.json`.
        stamp: the SHA-256, in hex, of what an interrupted preparation must find unchanged.
        has_documents: whether texts are documents; else each part is one stream.
    """

    shards: tuple[Shard, ...]
    split: str
    facts: Mapping[str, Any]
    stamp: str
    has_documents: bool


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a source is cut.

    Attributes:
        validation: the share that is held out, above 0 and below 1: of the documents, or of the characters of a single
            text; None is the usual one.
        shard_bytes: about how much text is tokenised at once.
    Raises:
        ValueError: if the share is none.
    """

    validation: float | None = None
    shard_bytes: int = SHARD_BYTES

    def __post_init__(self) -> None:
        if self.validation is not None and not 0 < self.validation < 1:
            raise ValueError(f"validation {self.validation:g} is no share to hold out: give one above 0 and below 1")

    def held(self, num_documents: int, name: str) -> frozenset[int]:
        """Return which of some documents are held out: 1 at least, and not all.

        Raises:
            ValueError: if there are fewer than two.
        """
        if num_documents < 2:
            raise ValueError(f"{name} has {num_documents} documents: two are needed, for one is held out")
        share = SHARE if self.validation is None else self.validation
        count = min(num_documents - 1, max(1, round(share * num_documents)))
        order = torch.randperm(num_documents, generator=seeded_generator("held_out_documents", SEED))
        return frozenset(order[:count].tolist())

    def documents_in_words(self) -> str:
        """Return how documents are held out."""
        share = SHARE if self.validation is None else self.validation
        return f"{100 * share:g} % of the documents are val (1 at least), drawn by seed {SEED}"

    def refuse_share(self, name: str) -> None:
        """Refuse a share where a source has parts of its own.

        Raises:
            ValueError: if a share is given.
        """
        if self.validation is not None:
            raise ValueError(f"{name} has a validation part of its own: leave --validation out")


def file_source(
    name: str,
    files: Sequence[Path],
    base: Path,
    shards: Sequence[Shard],
    split: str,
    cutting: Cutting,
    has_documents: bool,
) -> Source:
    """Return the source that lies in files.

    Args:
        name: a short name.
        files: all files that are read.
        base: the folder that they lie under.
        shards: their text.
        split: how parts are cut, in words.
        cutting: what the shards were cut by.
        has_documents: whether texts are documents.
    """
    stats = [(path.relative_to(base).as_posix(), path.stat()) for path in files]
    facts = {
        "name": name,
        "files": len(files),
        "bytes": sum(stat.st_size for _, stat in stats),
        "listing": sha256_of([[place, stat.st_size] for place, stat in stats]),
    }
    times = [stat.st_mtime_ns for _, stat in stats]
    stamp = sha256_of([facts, split, times, cutting.validation, cutting.shard_bytes])
    return Source(tuple(shards), split, facts, stamp, has_documents)


def sha256_of(value: Any) -> str:
    """Return the SHA-256, in hex, of a value as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
