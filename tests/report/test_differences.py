"""The folded section of differences and their tests, of new documents and of older ones."""

import re

from made import converted

from lth.analysis.statistics_table import statistics_rows
from lth.report import StudyFiles
from lth.report.differences import difference_columns, difference_lines, difference_note, difference_rows
from lth.report.page import figures, render


def small() -> StudyFiles:
    """The real study, its first two levels: six comparisons."""
    study = converted()
    study.results["config"]["margin"] = 0.005
    study.results["rows"] = [row for row in study.results["rows"] if float(row["at"]["level"]) < 3]
    return study


def test_an_older_document_has_the_section_too() -> None:
    study = small()
    assert "statistics" not in study.details["tables"]
    computed = difference_rows(study)
    study.details["tables"]["statistics"] = statistics_rows(study.results)
    assert difference_rows(study) == computed
    assert len(computed) == 6


def test_lines_fit_the_columns_and_are_in_points() -> None:
    study = small()
    rows = difference_rows(study)
    columns, lines = difference_columns(study.results), difference_lines(study, rows)
    assert {len(line) for line in lines} == {len(columns)}
    assert columns[:5] == ["Compared", "Level", "Weights remaining (%)", "Difference (points)", "95 % Student"]
    assert lines[0][0] == "ticket - dense"
    assert float(lines[0][3]) == round(100 * rows[0]["difference"], 2)
    assert lines[0][4] == f"{100 * rows[0]['low']:+.2f} to {100 * rows[0]['high']:+.2f}"
    study.results["config"].pop("margin")
    assert len(difference_columns(study.results)) == len(columns) - 2


def test_the_page_folds_it_and_says_what_five_pairs_can_show() -> None:
    study = small()
    page = render([study], figures(study)[:1], "")
    [section] = re.findall(r"<details>\s*<summary>Statistics of 6 differences</summary>.*?</details>", page, re.DOTALL)
    assert "5 pairs cannot go below p = 0.0625" in section
    assert "against a loss of 0.5 points; a match is confirmed at 0.025" in section
    assert page.index("<h2>All results</h2>") < page.index(section)
    assert difference_note(study.results, []) == ""
