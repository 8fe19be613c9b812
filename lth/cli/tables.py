"""Tables in a terminal."""

from collections.abc import Sequence
from itertools import takewhile

Row = dict[str, str]
"""Cells by column title."""


LEAST = 12
"""Characters that are left of a cell that is cut, at least."""


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first of them titles, columns to the left."""
    print(*row_lines(rows), sep="\n")


def row_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines, columns to the left."""
    widths = _column_widths(rows)
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def table_width(rows: Sequence[Sequence[str]]) -> int:
    """Return how wide rows are as lines."""
    return sum(_column_widths(rows)) + 2 * (len(rows[0]) - 1)


def _column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def fitted(
    rows: Sequence[Sequence[str]], width: int, expendable: Sequence[str], cut: Sequence[str] = ()
) -> list[list[str]]:
    """Return rows without the columns that a terminal has no room for, and with others cut.

    Args:
        rows: cells; the first row are titles.
        width: of the terminal.
        expendable: titles of columns that go, the first that goes first.
        cut: titles of columns whose cells are cut where the table still is too wide, the first that is cut first.
    """
    columns = [list(column) for column in zip(*rows, strict=True)]

    def excess() -> int:
        return table_width([*zip(*columns, strict=True)]) - width

    for title in expendable:
        if excess() > 0:
            columns = [column for column in columns if column[0] != title]
    for title in cut:
        for column in columns:
            if column[0] == title and (over := excess()) > 0:
                room = max(LEAST, max(map(len, column)) - over)
                column[:] = [_cut_behind(cell, room) for cell in column]
    return [list(row) for row in zip(*columns, strict=True)]


def _cut_behind(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 3].rstrip()}..."


def print_table(rows: list[Row], names: list[str], width: int, expendable: str) -> None:
    """Print rows of tensors under their titles, the column TENSOR first, as wide as the terminal.

    Where the terminal is too narrow, names lose what they all share, then one column goes, then names are cut.

    Args:
        rows: cells by column title, the same titles in each.
        names: the tensors; other rows sum up.
        width: of the terminal.
        expendable: the column that goes.
    """
    if _width(rows) > width and (shared := _shared(names)) != ("", ""):
        start, end = shared
        rows = [
            row | {"TENSOR": row["TENSOR"].removeprefix(start).removesuffix(end)} if row["TENSOR"] in names else row
            for row in rows
        ]
        print("Names without their " + " and ".join(repr(part) for part in shared if part) + ":")
    if _width(rows) > width:
        rows = [{title: cell for title, cell in row.items() if title != expendable} for row in rows]
    room = max(12, max(len(row["TENSOR"]) for row in rows) - max(0, _width(rows) - width))
    rows = [row | {"TENSOR": _cut(row["TENSOR"], room)} for row in rows]
    widths = _widths(rows)
    for row in ({title: title for title in rows[0]}, *rows):
        first, *others = (
            cell.ljust(widths[title]) if title == "TENSOR" else cell.rjust(widths[title]) for title, cell in row.items()
        )
        print("  ".join((first, *others)).rstrip())


def _widths(rows: list[Row]) -> dict[str, int]:
    return {title: max(len(title), *(len(row[title]) for row in rows)) for title in rows[0]}


def _width(rows: list[Row]) -> int:
    widths = _widths(rows).values()
    return sum(widths) + 2 * (len(widths) - 1)


def _shared(names: list[str]) -> tuple[str, str]:
    """Return what all names begin with, up to a dot, and what they end with, from a dot."""
    if len(names) < 2:
        return "", ""
    parts = [name.split(".") for name in names]
    start, end = _common(parts), _common([each[::-1] for each in parts])[::-1]
    return "".join(f"{part}." for part in start), "".join(f".{part}" for part in end)


def _common(lists: list[list[str]]) -> list[str]:
    """Return the beginning that all lists share."""
    return [same[0] for same in takewhile(lambda same: len(set(same)) == 1, zip(*lists, strict=False))]


def _cut(name: str, room: int) -> str:
    return name if len(name) <= room else f"{name[: (room - 1) // 2]}…{name[len(name) - room // 2 :]}"
