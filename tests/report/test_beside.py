"""What lies beside a page: every row as CSV, the table for LaTeX, and links to them."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lth.analysis.labels import Labels, Ran
from lth.report import StudyFiles
from lth.report.beside import files_beside, write_beside
from lth.report.latex import escaped, latex_table
from lth.report.page import render


def test_every_row_is_in_the_csv(study: StudyFiles, tmp_path: Path) -> None:
    write_beside(study.results, tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text())))
    assert len(rows) == len(study.results["rows"])
    assert list(rows[0])[:5] == ["arm", "replicate", "level", "density", "test/accuracy"]
    last, row = rows[-1], study.results["rows"][-1]
    assert float(last["test/accuracy"]) == row["end"]["test/accuracy"]
    assert float(last["best test/accuracy"]) == row["at_best"]["test/accuracy"]
    assert int(last["best_step"]) == row["best_step"]


@pytest.mark.parametrize("shape", ["find-ticket", "language-model", "connect", "stability", "supermask"])
def test_the_table_is_one_in_latex(studies: dict[str, StudyFiles], shape: str) -> None:
    text = latex_table(studies[shape].results)
    assert text.isascii()
    assert re.findall(r"\\(begin|end|toprule|midrule|bottomrule)", text) == [
        "begin",
        "toprule",
        "midrule",
        "bottomrule",
        "end",
    ]
    columns = len((re.search(r"\\begin{tabular}{(\w+)}", text) or [""])[1])
    for line in text.splitlines():
        if line.endswith(r"\\"):
            cells = re.split(r"(?<!\\)&", line)
            assert columns == sum(int((re.match(r" ?\\multicolumn{(\d+)}", cell) or [0, 1])[1]) for cell in cells)
        elif not line.startswith("%"):
            assert not re.search(r"(?<!\\)[%#_]", line)


def test_the_table_has_the_values_of_the_page(study: StudyFiles) -> None:
    text = latex_table(study.results)
    assert r"\multicolumn{3}{c}{Test accuracy (\%)}" in text
    assert r"\multicolumn{3}{c}{dense 98.03 [97.86, 98.20]}" in text
    assert "% find-ticket study" in text
    assert escaped("a_b & 5 % {x} \\") == r"a\_b \& 5 \% \{x\} \textbackslash{}"


def test_the_page_links_to_what_is_there(study: StudyFiles, tmp_path: Path) -> None:
    write_beside(study.results, tmp_path)
    (tmp_path / "curves.csv").write_text("step\n")
    (tmp_path / "tickets").mkdir()
    (tmp_path / "tickets" / "level-01-replicate-0.ticket.safetensors").write_bytes(b"")
    files = files_beside(tmp_path)
    assert files == ["rows.csv", "table.tex", "curves.csv", "tickets/"]
    html = render([study], [], "", files=files)
    assert all(f'href="{name}"' in html for name in files)
    assert 'href="/study/1/files/rows.csv"' in render([study], [], "", files=files, beside="/study/1/files/")
    assert "href=" not in render([study], [], "", files=files, beside=None).replace('href="data:,"', "")


def test_name_tags_and_commands_are_on_the_page(study: StudyFiles) -> None:
    labels = Labels("steep", ("first", "mine"), (Ran("2026-01-02", "lth find-ticket --rate 0.4"),))
    html = render([replace(study, labels=labels)], [], "")
    assert "<b>steep</b>: " in html
    assert ", first, mine</p>" in html
    assert "<pre>lth find-ticket --rate 0.4</pre>" in html


def test_settings_unlike_the_preset_come_first_and_none_is_empty(study: StudyFiles) -> None:
    study.results["config"] = {"model": "m", "rate": 0.4, "clip": None, "seed": 0}
    study.results["settings"] = {"changed": ["rate"], "groups": {"Study": ["model", "seed"]}}
    html = render([study], [], "")
    places = [html.index(each) for each in ("Settings unlike the preset", ">rate<", "All other", ">seed<")]
    assert places == sorted(places)
    assert ">clip<" not in html
    del study.results["settings"]
    assert ">clip<" not in render([study], [], "")
