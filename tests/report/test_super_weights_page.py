"""The page of a search for super weights: complete, self-contained, and right where parts are missing."""

import json
import shutil
from pathlib import Path

import pytest
from made_super_weights import ONE, super_weights_document
from test_report_browser import BROWSER, check, visit
from test_report_page import outline, png_size

from lth.analysis.super_weights import read_super_weights
from lth.analysis.super_weights_words import amount, signed, times
from lth.cli.main import main
from lth.report import write_super_weights
from lth.report.super_weights import render_super_weights
from lth.report.super_weights_figures import super_weights_figures

TIMES = "\N{MULTIPLICATION SIGN}"
FIGURES = ["spikes", "scale", "interventions", "ranks", "census"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "superweights.json").write_text(json.dumps(super_weights_document()))
    return write_super_weights(folder)


def test_page_says_what_was_found(page: Path) -> None:
    text, addresses = outline(page.read_text(encoding="utf-8"))
    document = super_weights_document()
    assert addresses[0] == "data:,"
    assert all((page.parent / each).exists() for each in addresses[1:])
    for said in (*document["verdict"]["sentences"], *document["candidates"][0]["sentences"], "Rank by magnitude"):
        assert said in text
    for cell in (
        "6.05 6.04 to 6.06",
        "71,000",
        f"1.82{TIMES}10⁶",
        "-0.120 -0.130 to -0.110",
        "cancels 11,507,1229",
        "agrees",
    ):
        assert cell in text, cell
    assert sorted(path.stem for path in (page.parent / "figures").glob("*.png")) == sorted(FIGURES)
    assert all(png_size(path)[0] >= 1500 for path in (page.parent / "figures").glob("*.png"))


def test_what_is_all_zero_has_no_figure() -> None:
    document = super_weights_document()
    for spike in document["spikes"]:
        spike["output"] = 0.0
    for row in document["census"]:
        row["ratio"] = 0.0
    figures = {each.name: each for each in super_weights_figures(document)}
    assert len(figures["spikes"].panels) == 1  # of inputs alone
    assert "census" not in figures
    for spike in document["spikes"]:
        spike["input"] = 0.0
    assert "spikes" not in [each.name for each in super_weights_figures(document)]


@pytest.mark.skipif(BROWSER is None, reason="needs chromium on the PATH")
@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_page_is_drawn(page: Path, tmp_path: Path, width: int, scheme: str) -> None:
    check(*visit(page, tmp_path, width, scheme), scheme)


def test_the_page_again_from_its_folder(page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", str(page.parent), "--out", str(tmp_path / "again")])
    assert ended.value.code == 0
    assert str(tmp_path / "again" / "report.html") in capsys.readouterr().out
    assert (tmp_path / "again" / "report.html").read_text() == page.read_text()


def test_what_was_only_found_has_no_figures_of_effects() -> None:
    document = super_weights_document()
    document["protocol"], document["interventions"] = None, []
    drawn = super_weights_figures(document)
    assert [figure.name for figure in drawn] == ["spikes", "ranks", "census"]
    assert "All interventions" not in render_super_weights(document, drawn, "")


def test_a_model_without_any_has_maxima_before_alone() -> None:
    document = super_weights_document()
    document["candidates"], document["interventions"], document["known"] = [], [], []
    document["spikes"] = [row for row in document["spikes"] if row["round"] == 1]
    [spikes, census] = super_weights_figures(document)
    assert [entry for key in spikes.keys for entry, _ in key.entries] == ["as it is"]
    assert census.name == "census"
    assert ONE not in render_super_weights(document, [], "").partition("Figures")[2].partition("Round 1")[0]


def test_values_that_are_not_finite_are_named() -> None:
    document = super_weights_document()
    nothing = {"value": None, "low": None, "high": None}
    document["interventions"][1] |= {"perplexity": nothing, "ratio": nothing, "difference": nothing}  # type: ignore[typeddict-item]
    document["spikes"][0]["output"] = None
    drawn = super_weights_figures(document)
    assert "not finite" in outline(render_super_weights(document, drawn, ""))[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"version": 9}, "version 9"), ({"prompts": 3}, "damaged at 'prompts'"), ({"format": "other"}, "format 'other'")],
)
def test_documents_of_another_kind_are_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    (tmp_path / "superweights.json").write_text(json.dumps(super_weights_document() | change))
    with pytest.raises(ValueError, match=said):
        read_super_weights(tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(ValueError, match="superweights.json cannot be read"):
        read_super_weights(tmp_path)


def test_numbers_in_words() -> None:
    assert [amount(each) for each in (25.614, 1820.4, 1.82e6, 0.0, None)] == [
        "25.61", "1,820", f"1.82{TIMES}10⁶", "0", "not finite",
    ]  # fmt: skip
    assert [times(each) for each in (1.0042, 6.051, 48.03, 71_000.0, None)] == [
        "1.004", "6.05", "48.0", "71,000", "not finite",
    ]  # fmt: skip
    assert [signed(each) for each in (1.8, -0.00392, None)] == ["+1.800", "-0.0039", "not finite"]
