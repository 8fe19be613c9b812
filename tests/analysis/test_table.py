"""The table of text below a verdict: means, intervals, units, and what it leaves out."""

import io
import os
import shutil

import pytest
from rows import arm, results

from lth.analysis.table import aligned, caption, text_table
from lth.launch.words import table_lines

ROWS = [
    *arm("dense", 0, [0.9, 0.8], best_step=200),
    *arm("ticket", 1, [0.85, 0.85], best_step=150),
    *arm("reinit", 1, [0.7, None]),
    *arm("ticket", 2, [None, None]),
]


def test_cells_are_means_with_half_of_their_interval() -> None:
    table = text_table(results(ROWS))
    # Two values that differ by 0.1: half of the interval is t(0.975, 1) x 0.05 = 12.706 x 0.05.
    assert table == [
        ["level", "kept", "dense", "ticket", "reinit", "best step"],
        ["0", "100 %", "85.00 ±63.53", "", "", "200"],
        ["1", "80 %", "", "85.00 (equal)", "70.00", "150"],
        ["2", "64 %", "", "", "", ""],
    ]
    assert caption(results(ROWS)) == "test accuracy in %, means over 2 replicates ± half of the 95 % interval"
    assert text_table(results(ROWS), intervals=False)[1][2] == "85.00"
    assert caption(results(ROWS), intervals=False) == "test accuracy in %, means over 2 replicates"


def test_a_metric_without_percent_has_its_own_digits() -> None:
    table = text_table(results(arm("dense", 0, [1.0, 1.5], metric="loss"), primary="loss"))
    assert table[1][1] == "1.250 ±3.177"
    assert caption(results(arm("dense", 0, [1.0], metric="loss"), primary="loss")) == "test loss, one replicate"


def test_one_place_has_no_column_of_places() -> None:
    assert text_table(results(arm("dense", 0, [0.9])))[0] == ["kept", "dense", "best step"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "has_intervals"), [(100, True), (50, False)])
def test_a_narrow_terminal_sees_means_alone(columns: int, has_intervals: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
    lines = table_lines(results(ROWS), Terminal())
    assert any("±" in line for line in lines) == has_intervals
    assert max(map(len, lines[1:])) <= columns
    assert any("±" in line for line in table_lines(results(ROWS), io.StringIO()))
    assert len({len(line) for line in aligned(text_table(results(ROWS)))}) == 1
