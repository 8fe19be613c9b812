"""A page that reproduces a paper: published numbers beside ours, and the paper's figure, come first."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from made import converted

from lth.analysis.reproduction import band_words, ours_words, published_words, read_reproduction
from lth.launch.reproduce import document_of
from lth.report import StudyFiles, figures
from lth.report.page import render
from lth.report.published import plots_of
from lth.studies import EXPERIMENTS
from lth.studies.experiments.experiment import comparison


@pytest.fixture(scope="module")
def study() -> StudyFiles:
    """The real study of LeNet, as a reproduction at full length."""
    found = converted()
    name = "frankle-carbin-fig4"
    rows = comparison(EXPERIMENTS[name], found.results, found.details, 1.0)
    return replace(found, reproduction=document_of(name, 1.0, found.results["id"], rows))


def test_numbers_and_the_papers_figure_come_first(study: StudyFiles) -> None:
    drawn = figures(study)
    page = render([study], drawn, "")
    places = [page.index(each) for each in ("Published and ours", 'id="early_stopping"', "<h2>Verdict", "Further fig")]
    assert places == sorted(places)
    assert page.count("<b>inside</b>") == 5
    assert "Section 2, Figure 4b" in page
    assert len(re.findall('<figure id="early_stopping"', page)) == 1
    assert 'id="by_density"' in page[places[-1] :]
    without = render([replace(study, reproduction=None)], drawn, "")
    assert "Published and ours" not in without
    assert "<h2>Figures" in without


def test_several_begin_with_the_numbers_of_each(study: StudyFiles) -> None:
    page = render([study, replace(study, reproduction=None)], [], "", ["first", "second"])
    assert page.index("Published and ours") < page.index("Verdicts")
    assert page.count("<b>inside</b>") == 5


def test_an_experiment_may_bring_a_plot(study: StudyFiles) -> None:
    document = document_of("linear-mode-connectivity-lenet", 0.5, study.results["id"], [])
    assert [plot["name"] for plot in document["plots"]] == ["barriers"]
    assert document["figures"] == ["barriers", "line"]
    names = [plot["name"] for plot in plots_of(replace(study, reproduction=document))]
    assert names == ["barriers", "by_density", "early_stopping", "at_best"]


def test_numbers_in_words(study: StudyFiles) -> None:
    assert study.reproduction is not None
    row = study.reproduction["rows"][1]
    assert (published_words(row), band_words(row), ours_words(row)) == ("0.3", "0.05 to 0.55", ("0.35", "0.10, 0.60"))
    open_ended = {**row, "published": None, "band": [None, 2.0], "ours": None}
    words = (published_words(open_ended), band_words(open_ended), ours_words(open_ended))  # type: ignore[arg-type]
    assert words == ("a direction", "below 2", ("not measured", ""))
    assert band_words({**row, "band": [0.0, None]}) == "above 0"  # type: ignore[typeddict-item]


def test_a_document_of_another_study_is_passed_over(tmp_path: Path, study: StudyFiles) -> None:
    assert read_reproduction(tmp_path, "a") is None
    (tmp_path / "reproduction.json").write_text(json.dumps(study.reproduction))
    assert read_reproduction(tmp_path, "a") is None
    assert read_reproduction(tmp_path, study.results["id"]) == study.reproduction
    (tmp_path / "reproduction.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        read_reproduction(tmp_path, "a")
