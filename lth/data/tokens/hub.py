"""Data sets of the Hugging Face Hub, through the package `datasets`."""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lth.data.tokens.source import SEED, SHARE, Cutting, Source, sha256_of
from lth.data.tokens.texts import Text

PREFIX = "hf:"
OPENWEBTEXT = "Skylion007/openwebtext"
ROWS = 2048
SPLIT = re.compile(r"(train|validation|test)(\[.*\])?")
PARTS = {"train": "train", "validation": "val", "test": "test"}


@dataclass(frozen=True, slots=True)
class HubShard:
    """Some rows of a data set, a document each."""

    part: str
    rows: Any
    start: int
    stop: int

    def texts(self) -> Iterator[Text]:
        return (Text(self.part, text, ends=True) for text in self.rows[self.start : self.stop]["text"])


def openwebtext(folder: Path | None, cutting: Cutting) -> Source:
    """Return OpenWebText with nanoGPT's split: 0.05 % of the documents are val, by seed 2357, the rest is shuffled.

    Args:
        folder: not needed: the package `datasets` keeps its own cache.

    Source: A. Gokaslan, V. Cohen, "OpenWebText Corpus", 2019.
    """
    return hub_source(f"{PREFIX}{OPENWEBTEXT}:train", cutting, "openwebtext")


def hub_source(address: str, cutting: Cutting, name: str | None = None) -> Source:
    """Return a data set of the Hub as a source; a row's column `text` is a document.

    Its own parts train, validation and test are kept; where there is no validation part, or one split is asked for,
    documents are held out as nanoGPT does for OpenWebText: `train_test_split(share, seed=2357, shuffle=True)`.

    Args:
        address: `hf:owner/name[:configuration][:split]`.
        cutting: how to cut it.
        name: a short name [default: the address].
    Raises:
        ValueError: if the package is not installed, the data set cannot be had, or has no column text.
    """
    owner_and_name, configuration, split = _parsed(address)
    loaded = load_rows(address, owner_and_name, configuration, split)
    rows = {PARTS[part]: rows for part, rows in loaded.items() if part in PARTS}
    if "train" not in rows:
        raise ValueError(f"{address} has the splits {', '.join(loaded)}, and no train: name one, as {address}:test")
    for part, some in rows.items():
        if "text" not in some.column_names:
            raise ValueError(f"{address} ({part}) has the columns {', '.join(some.column_names)}; text is needed")
    words = "the source's own parts"
    if "val" in rows:
        cutting.refuse_share(address)
    else:
        rows = _held_out(address, rows, cutting)
        words = f"{cutting.documents_in_words()}, by datasets' train_test_split, which shuffles"
    shards = tuple(
        HubShard(part, rows[part], start, min(start + ROWS, len(rows[part])))
        for part in ("train", "val", "test")
        if part in rows
        for start in range(0, len(rows[part]), ROWS)
    )
    facts = {
        "name": address if name is None else name,
        "address": address,
        "rows": {part: len(some) for part, some in rows.items()},
        "version": str(rows["train"].info.version or ""),
    }
    return Source(shards, words, facts, sha256_of([facts, words, cutting.validation]), True)


def _parsed(address: str) -> tuple[str, str | None, str | None]:
    """Return name, configuration and split."""
    name, *more = address.removeprefix(PREFIX).split(":")
    split = more.pop() if more and SPLIT.fullmatch(more[-1]) else None
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or len(more) > 1 or not all(more):
        raise ValueError(f"{address!r} is no data set of the Hub: write hf:OWNER/NAME, then :CONFIGURATION and :SPLIT")
    return name, more[0] if more else None, split


def load_rows(address: str, name: str, configuration: str | None, split: str | None) -> Mapping[str, Any]:
    """Return the rows by split; a split that is asked for is called train."""
    try:
        import datasets
    except ImportError as error:
        raise ValueError(f"{address} needs the package datasets: pip install 'lth[hub]'") from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)  # it says each of its retries; one line at the end is enough
    try:
        loaded = datasets.load_dataset(name, configuration, split=split)
    except Exception as error:  # of many kinds: no network, no such data set, no such configuration
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{address} cannot be had through datasets ({reason}): check name and network") from error
    finally:
        log.setLevel(level)
    return {"train": loaded} if split is not None else dict(loaded)


def _held_out(address: str, rows: dict[str, Any], cutting: Cutting) -> dict[str, Any]:
    if len(rows["train"]) < 2:
        raise ValueError(f"{address} has {len(rows['train'])} documents: two are needed, for one is held out")
    share = SHARE if cutting.validation is None else cutting.validation
    cut = rows["train"].train_test_split(test_size=share, seed=SEED, shuffle=True)
    return rows | {"train": cut["train"], "val": cut["test"]}
