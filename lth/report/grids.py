"""Small tables of a comparison: a heading, and lines of values with small print, as narrow as they can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lth.analysis.between import Against
from lth.analysis.between_sentences import gap_columns, gap_lines
from lth.analysis.documents import Results
from lth.report.study import StudyFiles
from lth.report.words import first_capital

MOST_ACROSS = 4
"""Studies that have a column each; more of them have a row each."""

Cell = tuple[str, str]
"""A value, and its interval or note in small print."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: the first cell of each line is its heading."""

    columns: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]


def by_study(title: str, heads: Sequence[str], rows: Mapping[str, Sequence[Cell]], most: int = MOST_ACROSS) -> Grid:
    """Return a table of studies and what is said of each: the few of either lie across, the many one below the other.

    Args:
        title: of the first column where studies have rows.
        heads: what is said.
        rows: a cell for each of these, by study.
        most: studies that may lie across.
    """
    if len(rows) <= most:
        cells = [tuple(row[index] for row in rows.values()) for index in range(len(heads))]
        return Grid(("", *rows), tuple(((head, ""), *line) for head, line in zip(heads, cells, strict=True)))
    return Grid((title, *heads), tuple(((name, ""), *row) for name, row in rows.items()))


def tile_grid(studies: Sequence[StudyFiles], names: Sequence[str]) -> Grid | None:
    """Return the numbers beside each verdict; None where no study has any."""
    labels = dict.fromkeys(tile["label"] for study in studies for tile in study.results["verdict"]["tiles"])
    rows = {}
    for name, study in zip(names, studies, strict=True):
        tiles = {tile["label"]: (tile["value"], tile["note"]) for tile in study.results["verdict"]["tiles"]}
        rows[name] = [tiles.get(label, ("none", "")) for label in labels]
    return by_study("Study", list(labels), rows) if labels else None


def field_grid(fields: Mapping[str, Sequence[str]], names: Sequence[str]) -> Grid:
    """Return settings that differ, a row each where the studies are few."""
    rows = {name: [(row[index] or "not set", "") for row in fields.values()] for index, name in enumerate(names)}
    return by_study("Study", list(fields), rows, most=max(MOST_ACROSS, len(names) if len(fields) > len(names) else 0))


def gap_grid(each: Against, results: Results) -> Grid:
    """Return the differences of a study from the first one, place by place."""
    columns = [first_capital(column) if column not in (each.first, each.other) else column
               for column in gap_columns(each, results) if column != "interval"]  # fmt: skip
    lines = [
        ((where, ""), (first, ""), (other, ""), (difference, between), (settled, ""))
        for where, first, other, difference, between, settled in gap_lines(each, results)
    ]
    return Grid(tuple(columns), tuple(lines))
