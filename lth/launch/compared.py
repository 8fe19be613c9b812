"""Several studies beside each other, for a terminal."""

import shutil
from collections.abc import Sequence
from typing import TextIO

from lth.analysis.between import compare_studies
from lth.analysis.between_sentences import against_in_words, gap_columns, gap_lines, how_compared
from lth.analysis.table import aligned
from lth.launch.words import for_terminal
from lth.report.names import study_names
from lth.report.study import StudyFiles

PLAIN_WIDTH = 100


def comparison_lines(studies: Sequence[StudyFiles], stream: TextIO) -> list[str]:
    """Return how each study differs from the first one: a sentence and a small table each, and what settled means."""
    first, names = studies[0].results, study_names(studies)
    against = compare_studies([(name, study.results) for name, study in zip(names, studies, strict=True)])
    width = shutil.get_terminal_size().columns if stream.isatty() else PLAIN_WIDTH
    lines = []
    for each in against:
        table = aligned([gap_columns(each, first), *gap_lines(each, first)])
        if max(map(len, table)) + 2 > width:  # long names stand in the sentence
            table = aligned([["at", "first", "other", *gap_columns(each, first)[3:]], *gap_lines(each, first)])
        lines += [for_terminal(against_in_words(each, first), stream), *(f"  {line}" for line in table), ""]
    return [*lines, for_terminal(how_compared(against, first), stream)]
