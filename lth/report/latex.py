"""The table of a study's page for a paper: LaTeX with booktabs."""

import re
from collections.abc import Iterable, Iterator

from lth.analysis.documents import Results
from lth.analysis.numbers import percent
from lth.analysis.reading import num_replicates
from lth.report.tables import Block, Line, Table, Value, main_table
from lth.report.words import MINUS, NO_BREAK

ESCAPED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
ESCAPED |= {each: f"\\{each}" for each in "&%$#_{}"}
ESCAPED |= {MINUS: "$-$", NO_BREAK: "~", "\N{NON-BREAKING HYPHEN}": "-"}


def latex_table(results: Results) -> str:
    """Return the primary metric over places and arms, means with their intervals, as a tabular."""
    table, count = main_table(results), num_replicates(results)
    means = f"means over {count} replicates, in brackets {percent(results['confidence'])} Student-t intervals"
    head = f"{results['study']} study {results['id']}: {means if count > 1 else 'one replicate'}"
    widths = [len(block.columns) for block in table.blocks]
    lines = [
        f"% {head}. Needs \\usepackage{{booktabs}}",
        f"\\begin{{tabular}}{{{'l' * len(table.axes)}{'r' * sum(widths)}}}",
        r"\toprule",
        *_head(table),
        r"\midrule",
        *(_row([*map(escaped, line.place), *_cells(line, table.blocks)]) for line in table.lines),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _head(table: Table) -> Iterator[str]:
    """Give the titles of the blocks, where an arm each stands below them with rules between, and the arms."""
    axes, blocks = [escaped(axis) for axis in table.axes], table.blocks
    titles = [_across(len(block.columns), escaped(block.title)) for block in blocks]
    if all(block.columns == ("",) for block in blocks):
        yield _row([*axes, *titles])
        return
    yield _row([*[""] * len(axes), *titles])
    place = len(axes) + 1
    rules = []
    for block in blocks:
        rules.append(f"\\cmidrule(lr){{{place}-{place + len(block.columns) - 1}}}")
        place += len(block.columns)
    yield " ".join(rules)
    yield _row([*axes, *(escaped(arm) for block in blocks for arm in block.columns)])


def _cells(line: Line, blocks: Iterable[Block]) -> Iterator[str]:
    for value in line.values:
        yield "" if value is None else _across(value.span, _text(value))


def _text(value: Value) -> str:
    between = re.sub(r"^(.*) to (.*)$", r"[\1, \2]", value.between)
    return " ".join(escaped(part) for part in (value.note, value.mean, between) if part)


def _across(width: int, text: str) -> str:
    return text if width == 1 else f"\\multicolumn{{{width}}}{{c}}{{{text}}}"


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def escaped(text: str) -> str:
    """Return text as LaTeX prints it."""
    return "".join(ESCAPED.get(letter, letter) for letter in text)
