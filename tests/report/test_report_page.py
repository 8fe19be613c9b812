"""The page and its pictures: complete, self-contained, and right for studies with parts missing."""

import re
import struct
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made import SHAPES

from lth.report import StudyFiles, figures, words, write_report
from lth.report.bundle import bundle
from lth.report.compare import comparison_figures
from lth.report.figure import draw_svg
from lth.report.page import render
from lth.report.tables import main_table
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
    return plain(" ".join(parser.texts)), parser.addresses


def plain(text: str) -> str:
    """Text with simple spaces, hyphens and minus signs."""
    return " ".join(text.replace("\N{NON-BREAKING HYPHEN}", "-").replace(words.MINUS, "-").split())


def text_of(study: StudyFiles) -> str:
    return outline(render([study], [], ""))[0]


def png_size(path: Path) -> tuple[int, int]:
    """Width and height from the header of a PNG file."""
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", header[16:24])
    return width, height


@pytest.mark.parametrize("shape", SHAPES)
def test_page_says_what_the_study_found(pages: dict[str, Path], studies: dict[str, StudyFiles], shape: str) -> None:
    text, _ = outline(pages[shape].read_text(encoding="utf-8"))
    results = studies[shape].results
    verdict, ran = results["verdict"], {row["arm"] for row in results["rows"]}
    for said in (verdict["title"], *verdict["sentences"], *(tile["note"] for tile in verdict["tiles"])):
        assert plain(said) in text
    assert all(arm["words"] in text for arm in results["arms"] if arm["name"] in ran)
    assert results["id"] in text
    assert f"lth {results['study']} --config config.yaml" in text
    assert all(step["text"] in text for step in studies[shape].details["derivation"])


@pytest.mark.parametrize(
    ("shape", "told", "untold"),
    [
        ("language-model", ["Test loss (nats)", "Test perplexity", "lower is better", "1.490"], ["ccuracy"]),
        ("regression", ["Test r2", "Test mse"], ["ccuracy", "erplexity"]),
        ("connect", ["Test error (%)", "Weights remaining (%)", "Share", "All 132 places"], ["ccuracy", "icket"]),
    ],
)
def test_page_speaks_of_its_own_metrics(pages: dict[str, Path], shape: str, told: list[str], untold: list[str]) -> None:
    text, _ = outline(pages[shape].read_text(encoding="utf-8"))
    assert [each for each in told if each not in text] == []
    assert [each for each in untold if each in text] == []


def test_the_table_holds_the_results(study: StudyFiles) -> None:
    text = text_of(study)
    last = [row["end"]["test/accuracy"] or 0 for row in study.results["rows"] if row["arm"] == "ticket"][-5:]
    assert f"0.96 {100 * sum(last) / 5:.2f}" in text
    assert "98.03 97.86 to 98.20 dense" in text


def test_page_loads_nothing_from_outside(pages: dict[str, Path]) -> None:
    for page in pages.values():
        html = page.read_text(encoding="utf-8")
        _, addresses = outline(html)
        assert addresses[0] == "data:,"
        assert len(addresses) > 1
        assert all((page.parent / each).exists() for each in addresses[1:])  # links to what lies beside it
        assert not re.search(r"@import|url\(", html.split("<body>")[0])


def test_one_picture_a_figure(pages: dict[str, Path], studies: dict[str, StudyFiles]) -> None:
    for name, study in studies.items():
        pictures = {path.stem: png_size(path) for path in (pages[name].parent / "figures").glob("*.png")}
        for kind, start in (("svg", b"<svg"), ("pdf", b"%PDF")):
            written = sorted((pages[name].parent / "figures").glob(f"*.{kind}"))
            assert {path.stem for path in written} == {*pictures}
            assert all(path.read_bytes().startswith(start) for path in written)
        assert set(pictures) == {figure.name for figure in figures(study)}
        assert all(width >= 1500 and height >= 300 for width, height in pictures.values())


def test_same_study_same_page(pages: dict[str, Path], study: StudyFiles) -> None:
    again = render([study], figures(study), bundle().result(), files=["rows.csv", "table.tex"])
    assert again == pages["find-ticket"].read_text(encoding="utf-8")


def test_one_replicate_has_no_interval(one_replicate: StudyFiles) -> None:
    drawn = figures(one_replicate)
    text, _ = outline(render([one_replicate], drawn, ""))
    assert "there is no interval" in text
    assert "Student" not in text
    assert len(draw_svg(drawn[0], LIGHT, LIGHT.categories)) > 10_000


def test_controls_off(no_controls: StudyFiles) -> None:
    text, _ = outline(render([no_controls], figures(no_controls), ""))
    assert "the same mask over weights drawn anew" not in text
    assert "Against reinit" not in text
    assert "no claim of a winning ticket" in text


def test_what_comes_from_files_is_escaped(study: StudyFiles) -> None:
    study.results["verdict"]["sentences"] = ["Nothing <matched> & so it is."]
    study.results["verdict"]["found"] = False
    html = render([study], [], "")
    assert "Nothing &lt;matched&gt; &amp; so it is." in html
    assert '<section class="verdict" ' in html


def test_diverged_replicates_are_named(study: StudyFiles) -> None:
    for row in study.results["rows"]:
        if row["arm"] == "random" and row["at"]["level"] == 21 and row["replicate"] < 2:
            row["diverged_at"] = 400
    assert "random at level 21, density 0.96 %: 2" in text_of(study)


def test_axes_have_the_titles_of_the_verdict(study: StudyFiles) -> None:
    study.results["verdict"]["axis_words"] = {"density": "Weights not drawn anew (%)"}
    html = render([study], figures(study), "")
    assert "Weights not drawn anew (%)" in html
    assert "Weights remaining (%)" not in html


def test_comparison_names_what_differs(pages: dict[str, Path]) -> None:
    text, _ = outline(pages["comparison"].read_text(encoding="utf-8"))
    assert "seed another" in text
    assert "What differs" in text
    pictures = sorted(path.name for path in (pages["comparison"].parent / "figures").glob("*.png"))
    assert pictures == ["at_best.png", "by_density.png", "early_stopping.png"]


def best_at(study: StudyFiles, num_late: int) -> StudyFiles:
    """The study with that many of its trainings best at their last step."""
    for index, row in enumerate(row for row in study.results["rows"] if row["best_step"] is not None):
        row["best_step"] = row["steps"] if index < num_late else 100
    return study


@pytest.mark.parametrize("share", [0.89, 0.91])
def test_early_stopping_is_drawn_where_it_says_something(study: StudyFiles, share: float) -> None:
    count = sum(row["best_step"] is not None for row in study.results["rows"])
    late = best_at(study, round(share * count))
    names, compared = ([each.name for each in drawn] for drawn in (figures(late), comparison_figures([late, late])))
    words = f"Early stopping is not drawn: {round(share * count)} of {count} trainings are best at their last step."
    both = outline(render([late, late], [], ""))[0]
    is_left_out = share > 0.9
    assert (words in text_of(late)) == ("Early stopping is not drawn" in both) == is_left_out
    assert ("early_stopping" not in names) == ("at_best" not in names) == is_left_out
    assert ("early_stopping" not in compared) == ("at_best" not in compared) == is_left_out
    assert "by_density" in names


def test_early_stopping_is_drawn_where_last_steps_are_not_known(study: StudyFiles) -> None:
    for row in best_at(study, len(study.results["rows"])).results["rows"]:
        row["steps"] = None
    assert "early_stopping" in [figure.name for figure in figures(study)]
    assert "not drawn" not in text_of(study)


def test_each_value_of_a_table_says_what_it_is(study: StudyFiles) -> None:
    page = render([study], [], "")
    assert 'data-label="Test accuracy (%), ticket"' in page
    assert 'data-label="Best step, random"' in page
    assert 'data-label="p, t-test"' in page
    table = main_table(study.results)
    assert table.labels(table.lines[0]) == ["Test accuracy (%)", "Best step"]  # the baseline's, across all arms


def test_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        write_report([], tmp_path)


def test_several_engines_are_counted(study: StudyFiles) -> None:
    study.results["engines"] = {"sparse": 8, "torch": 2}
    assert words.engines(study.results) == "sparse (8 networks), torch (2 networks)"
    assert "sparse (8 networks), torch (2 networks)" in text_of(study)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-0.12 points (95 % interval -1 to +2)", "~0.12 points (95\xa0% interval ~1 to +2)"),
        ("lenet-300-100 at step 1-2", "lenet-300-100 at step 1-2"),
    ],
)
def test_minus_signs_are_true_ones(text: str, shown: str) -> None:
    assert words.minus(text) == shown.replace("~", words.MINUS)


def test_a_real_study_has_a_page(small_study: Path, tmp_path: Path) -> None:
    from lth.report import read_study

    study = read_study(small_study)
    page = write_report([study], tmp_path)
    assert plain(study.results["verdict"]["title"]) in outline(page.read_text(encoding="utf-8"))[0]
    assert len(figures(study)) >= 5
