"""Texts in shards that can be tokenised apart, with the same tokens as the text in one piece."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from lth.config.errors import reason_of

PIECE = 1 << 22
BREAK = re.compile(rb"[!-~](?=[ \n])")
"""Where a text may be cut: no token of GPT-2's, and no character, reaches from a visible ASCII character into a blank
behind it."""


@dataclass(frozen=True, slots=True)
class Text:
    """Some text.

    Attributes:
        part: which part it belongs to: train, val or test.
        text: the text.
        ends: whether a document ends here.
    """

    part: str
    text: str
    ends: bool


class Shard(Protocol):
    """What is tokenised at once; a value that can be pickled."""

    def texts(self) -> Iterator[Text]:
        """Give its texts, in order.

        Raises:
            ValueError: if one cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Range:
    """The bytes `start` to `stop` of a file in UTF-8."""

    part: str
    path: Path
    start: int
    stop: int
    ends: bool

    def text(self) -> Text:
        try:
            with open(self.path, "rb") as file:
                file.seek(self.start)
                content = file.read(self.stop - self.start)
        except OSError as error:
            raise ValueError(f"{self.path} cannot be read ({error.strerror})") from error
        try:
            return Text(self.part, content.decode("utf-8"), self.ends)
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path} is no UTF-8 (byte {self.start + error.start}): save it in UTF-8") from error


@dataclass(frozen=True, slots=True)
class FileShard:
    """Ranges of text files."""

    ranges: tuple[Range, ...]

    def texts(self) -> Iterator[Text]:
        return (each.text() for each in self.ranges)


@dataclass(frozen=True, slots=True)
class RowShard:
    """Rows of a Parquet file, a document each: one row group's.

    Attributes:
        group: number of the row group.
        held: rows of it that are of the part val; the others are of `part`.
    """

    part: str
    path: Path
    group: int
    held: frozenset[int] = frozenset()

    def texts(self) -> Iterator[Text]:
        row = 0
        with parquet_file(self.path) as file:
            for batch in _batches(self.path, file, self.group):
                for text in batch:
                    if not isinstance(text, str):
                        raise ValueError(f"{self.path} has a {type(text).__name__} in the column text: give texts only")
                    yield Text("val" if row in self.held else self.part, text, ends=True)
                    row += 1


def _batches(path: Path, file: Any, group: int) -> Iterator[list[Any]]:
    """Give the column `text` of a row group, a batch at a time."""
    try:
        for batch in file.iter_batches(batch_size=1024, row_groups=[group], columns=["text"]):
            yield batch.column(0).to_pylist()
    except Exception as error:  # of many kinds
        raise ValueError(f"{path} is no whole Parquet file ({reason_of(error)})") from error


def parquet_file(path: Path) -> Any:
    """Return an open Parquet file that has a column `text`.

    Raises:
        ValueError: if pyarrow is not installed, the file cannot be read, or has no such column.
    """
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ValueError("Parquet files need the package pyarrow: pip install 'lth[hub]'") from error
    try:
        file = ParquetFile(path)
    except Exception as error:  # of many kinds
        raise ValueError(f"{path} is no whole Parquet file ({reason_of(error)})") from error
    if "text" not in file.schema_arrow.names:
        raise ValueError(f"{path} has the columns {', '.join(file.schema_arrow.names)}; a column text is needed")
    return file


def cut(path: Path, start: int, stop: int, size: int) -> list[int]:
    """Return where a range of a text is cut into pieces of about `size` bytes: offsets from `start` to `stop`."""
    cuts = [start]
    with open(path, "rb") as file:
        while stop - cuts[-1] > size:
            place = _next_break(file, cuts[-1] + size, stop)
            if place is None:
                break
            cuts.append(place)
    return [*cuts, stop]


def _next_break(file: BinaryIO, start: int, stop: int) -> int | None:
    """Return the offset of the first blank at which the text may be cut; None if there is none."""
    file.seek(start)
    last = b""
    while start < stop:
        content = file.read(min(1 << 16, stop - start))
        if not content:
            return None
        match = BREAK.search(last + content)
        if match is not None:
            return start - len(last) + match.end()
        start += len(content)
        last = content[-1:]
    return None


def count_characters(path: Path) -> int:
    """Return the number of characters of a file in UTF-8."""
    return sum(int(np.count_nonzero(starts)) for starts in _first_bytes(path))


def offset_of(path: Path, character: int) -> int:
    """Return the byte at which a character begins, counted from 0; the size of the file if it has no more."""
    seen = offset = 0
    for starts in _first_bytes(path):
        here = int(np.count_nonzero(starts))
        if seen + here > character:
            return offset + int(np.flatnonzero(starts)[character - seen])
        seen, offset = seen + here, offset + len(starts)
    return offset


def _first_bytes(path: Path) -> Iterator[NDArray[np.bool_]]:
    """Give, a piece at a time, which bytes begin a character, (byte,)."""
    with open(path, "rb") as file:
        while content := file.read(PIECE):
            yield (np.frombuffer(content, dtype=np.uint8) & 0xC0) != 0x80
