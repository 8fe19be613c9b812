"""The page and its pictures: written whole, self-contained, and right for studies with parts missing."""

import re
import struct
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lth.report import Study, words, write_report
from lth.report.figure import draw_png
from lth.report.page import render, study_figures
from lth.report.theme import LIGHT


class Outline(HTMLParser):
    """The text of a page outside its scripts, and every address that its elements would load."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.texts.append(data)


def outline(html: str) -> tuple[str, list[str]]:
    """The text of a page, white space joined, and its addresses."""
    parser = Outline()
    parser.feed(html)
    return " ".join(" ".join(parser.texts).split()), parser.addresses


def png_size(path: Path) -> tuple[int, int]:
    """Width and height from the header of a PNG file."""
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", header[16:24])
    return width, height


def test_page_says_what_the_study_found(report: Path, study: Study) -> None:
    text, _ = outline(report.read_text(encoding="utf-8"))
    results = study.results
    for sentence in results["verdict"]["sentences"]:
        assert " ".join(sentence.split()) in text
    accuracy = results["levels"][-1]["arms"]["ticket"]["test_accuracy"]["mean"]
    assert accuracy is not None
    assert f"{100 * accuracy:.2f}" in text
    assert results["id"] in text
    assert results["environment"]["torch"] in text
    assert f"engine {words.engines(results)}" in text
    assert all(step["text"] in text for step in study.details["derivation"])


def test_page_loads_nothing_from_outside(report: Path, comparison: Path) -> None:
    for page in (report, comparison):
        html = page.read_text(encoding="utf-8")
        _, addresses = outline(html)
        assert addresses == ["data:,"]
        assert not re.search(r"@import|url\(", html.split("<body>")[0])


def test_one_picture_a_figure(report: Path, study: Study) -> None:
    names = {figure.name for figure in study_figures(study)}
    pictures = {path.stem: png_size(path) for path in (report.parent / "figures").iterdir()}
    assert set(pictures) == names
    assert all(width >= 1500 and height >= 500 for width, height in pictures.values())


def test_same_study_same_page(report: Path, study: Study) -> None:
    assert render([study], study_figures(study)) == report.read_text(encoding="utf-8")


def test_one_replicate_has_no_interval(one_replicate: Study) -> None:
    figures = study_figures(one_replicate)
    text, _ = outline(render([one_replicate], figures))
    assert "there is no interval" in text
    assert "Student" not in text
    assert len(draw_png(figures[0], LIGHT, LIGHT.arms)) > 10_000


def test_controls_off(no_controls: Study) -> None:
    html = render([no_controls], study_figures(no_controls))
    assert 'class="arm ticket"' in html
    assert 'class="arm reinit"' not in html


def test_no_ticket_found_prints_no_claim(study: Study) -> None:
    verdict = {"found": False, "sentences": ["Nothing <matched> & so it is."], "level": None, "density": None}
    lost = Study({**study.results, "verdict": verdict}, study.details)  # type: ignore[typeddict-item]
    html = render([lost], study_figures(lost))
    assert "Nothing &lt;matched&gt; &amp; so it is." in html
    text, _ = outline(html)
    assert "Sparsest matching ticket" not in text
    assert "marked row" not in text


def test_comparison_names_what_differs(comparison: Path) -> None:
    text, _ = outline(comparison.read_text(encoding="utf-8"))
    assert "seed another" in text
    assert "What differs" in text
    pictures = sorted(path.name for path in (comparison.parent / "figures").iterdir())
    assert pictures == ["accuracy.png", "early_stopping.png"]


def test_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        write_report([], tmp_path)


def test_several_engines_are_counted(study: Study) -> None:
    several = deepcopy(study)
    several.results["engines"] = {"sparse": 8, "torch": 2}
    assert words.engines(several.results) == "sparse (8 networks), torch (2 networks)"
    assert "sparse (8 networks), torch (2 networks)" in outline(render([several], []))[0]
    del several.results["engines"]  # as results were before there was more than one engine
    several.results["environment"]["engine"] = "torch"
    assert words.engines(several.results) == "torch"
