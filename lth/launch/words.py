"""Sentences for a terminal."""

import shutil
import textwrap
from collections.abc import Collection
from typing import TextIO

from lth.analysis.documents import Results
from lth.analysis.table import aligned, caption, text_table

MOST_STEPS = 4
"""Steps that are listed one by one."""


def for_terminal(sentence: str, stream: TextIO) -> str:
    """Return a sentence broken between words, where the terminal that it is for would break anywhere."""
    if not stream.isatty():
        return sentence
    width = shutil.get_terminal_size().columns
    return textwrap.fill(sentence, width, break_long_words=False, break_on_hyphens=False)


def begun_in_words(steps: Collection[int]) -> str:
    """Return how many trainings were begun and where they go on; empty for none.

    Example:
        >>> begun_in_words([1200, 300])
        '2 begun, at steps 1,200 and 300'
    """
    if not steps:
        return ""
    if len(steps) > MOST_STEPS:
        return f"{len(steps)} begun, at steps {min(steps):,} to {max(steps):,}"
    *others, last = (f"{step:,}" for step in sorted(steps, reverse=True))
    return f"{len(steps)} begun, at step{'s' * bool(others)} {', '.join(others)}{' and ' * bool(others)}{last}"


def table_lines(results: Results, stream: TextIO) -> list[str]:
    """Return what each arm reached at each place, as lines; without intervals where a terminal is too narrow."""
    width = shutil.get_terminal_size().columns if stream.isatty() else 10_000
    for intervals in (True, False):
        lines = [caption(results, intervals=intervals), *aligned(text_table(results, intervals=intervals))]
        if max(map(len, lines[1:])) + 2 <= width:
            break
    return [f"  {line}" for line in lines]
