"""GLUE's TSV files as distributed: tabs part columns, quotes are plain characters, and only a line feed ends a line."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lth.data.glue.tasks import GlueTask

MOST_CUT = 10
"""Lines that may be cut in a file of QQP; the published one has three."""


@dataclass(frozen=True, slots=True)
class GlueLines:
    """Examples of a part as they were read.

    Attributes:
        texts: of each example, one sentence or two.
        labels: of each, as text.
        lines: the number of each one's line or row, from 1.
    """

    texts: list[list[str]]
    labels: list[str]
    lines: list[int]


def read_tsv(file: Path, task: GlueTask) -> GlueLines:
    """Return the lines of a file of GLUE.

    Raises:
        ValueError: if the file is no UTF-8 or empty, lacks a column, or a line has another number of columns.
    """
    lines = _lines(file)
    columns = list(task.header) or lines[0].split("\t")
    wanted = (*task.columns, task.label)
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise ValueError(f"{file} has no column {missing[0]!r}; it has {', '.join(columns)[:200]}")
    places = [columns.index(name) for name in wanted]
    first = 1 if task.header else 2
    rows, numbers, cut = [], [], []
    for number, line in enumerate(lines[first - 1 :], first):
        fields = line.split("\t")
        if task.may_be_cut and len(fields) < len(columns):
            cut.append(number)
        elif len(fields) != len(columns):
            raise ValueError(f"{file}, line {number}: found {len(fields)} columns; {len(columns)} are wanted")
        else:
            rows.append([fields[place] for place in places])
            numbers.append(number)
    if cut:
        _say_cut(file, cut)
    if not rows:
        raise ValueError(f"{file} has no examples")
    return GlueLines([row[:-1] for row in rows], [row[-1] for row in rows], numbers)


def _lines(file: Path) -> list[str]:
    """Return the lines of a file; `str.splitlines` would end one at other characters too."""
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{file}, line {number}: byte 0x{content[error.start]:02x} is no UTF-8; GLUE's files are in UTF-8"
        ) from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise ValueError(f"{file} is empty")
    return lines


def _say_cut(file: Path, cut: Sequence[int]) -> None:
    shown = ", ".join(map(str, cut[:MOST_CUT]))
    if len(cut) > MOST_CUT:
        raise ValueError(f"{file}: {len(cut)} lines have too few columns, the first are {shown}")
    warnings.warn(f"{file}: left out lines with too few columns: {shown}", stacklevel=2)
