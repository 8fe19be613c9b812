"""Each replicate in every figure, on request: the switch of the page, and pictures."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from made import converted, other_seed
from test_report_browser import BROWSER

from lth.report import Figure, StudyFiles, figures
from lth.report.compare import comparison_figures
from lth.report.figure import REPLICATES, draw_svg, full_spec, has_replicates
from lth.report.frames import MEASURED
from lth.report.page import render
from lth.report.theme import LIGHT

COLOURS = ("#000000",) * 8


def with_curves() -> StudyFiles:
    """The real study, with curves and densities of three replicates."""
    study = converted()
    for curve in study.details["curves"]:
        values = curve["values"]["validation/accuracy"]
        curve["replicates"] = {
            "validation/accuracy": [[None if value is None else value + 0.001 * each for value in values]
                                    for each in range(3)]
        }  # fmt: skip
    for layer in study.details["layers"]:
        layer["replicates"] = [layer["density"]] * 3
    return study


def layers_of(figure: Figure) -> list[dict[str, Any]]:
    """The layers of single replicates."""
    found = [each for spec in figure.panels for each in spec.get("layer", [])]
    return [each for each in found if each.get("description") == REPLICATES]


def values_of(figure: Figure, layer: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that a layer draws."""
    [spec] = figure.panels
    named = layer["data"].get("name")
    rows: list[dict[str, Any]] = spec["datasets"][named] if named else layer["data"]["values"]
    return rows


def test_every_line_of_a_replicate_has_its_own_values() -> None:
    study = converted()
    drawn = {figure.name: figure for figure in figures(study)}["by_density"]
    [rules, thin, points] = layers_of(drawn)
    dense = [row["end"]["test/accuracy"] for row in study.results["rows"] if row["arm"] == "dense"]
    assert [row["mean"] for row in values_of(drawn, rules)] == pytest.approx([100 * value for value in dense])
    expected = {
        (row["arm"], row["replicate"], round(100 * row["end"]["test/accuracy"], 3))
        for row in study.results["rows"] if row["at"]["level"] == 3
    }  # fmt: skip
    density = next(row["at"]["density"] for row in study.results["rows"] if row["at"]["level"] == 3)
    found = {
        (row["line"], row["replicate"], round(row["mean"], 3))
        for row in values_of(drawn, thin) if row["x"] == pytest.approx(100 * density)
    }  # fmt: skip
    assert found == expected
    assert "detail" in thin["encoding"]
    assert values_of(drawn, points) == values_of(drawn, thin)


@pytest.mark.parametrize("name", ["by_density", "at_best", "compared", "training_curves"])
def test_points_of_replicates_are_measurements(name: str) -> None:
    study = with_curves()
    drawn = comparison_figures([study, other_seed(study)])[:1] if name == "compared" else figures(study)
    [figure] = [each for each in drawn if each.name == name or name == "compared"]
    measured = {round(100 * row["at"]["density"], 3) for row in study.results["rows"]}
    crossings = 0
    for spec in figure.panels:
        for layer in (each for each in spec["layer"] if each["mark"]["type"] == "point"):
            [condition] = [each["filter"] for each in layer["transform"]]
            assert "crosses" in str(condition)
            if condition == MEASURED:
                rows = spec["datasets"][layer["data"]["name"]]
                shown = {round(row["x"], 3) for row in rows if row["mean"] is not None and "crosses" not in row}
                crossings += sum("crosses" in row for row in rows)
                assert shown <= measured
    assert crossings > 0 or name == "training_curves"  # which has no points


def test_figures_that_can_show_replicates_do() -> None:
    names = {figure.name for figure in figures(with_curves()) if has_replicates(figure)}
    assert names == {"by_density", "early_stopping", "at_best", "training_curves", "layer_density"}
    older = {figure.name for figure in figures(converted()) if has_replicates(figure)}
    assert older == names - {"training_curves", "layer_density"}  # documents that hold means alone
    compared = comparison_figures([converted(), converted(margin=0.01)])
    assert all(has_replicates(figure) for figure in compared)


def test_pictures_show_them_on_request() -> None:
    drawn = {figure.name: figure for figure in figures(converted())}["by_density"]
    assert REPLICATES not in str(full_spec(drawn, LIGHT, COLOURS))
    assert str(full_spec(drawn, LIGHT, COLOURS, replicates=True)).count(REPLICATES) == 3
    assert len(draw_svg(drawn, LIGHT, COLOURS, replicates=True)) > 1.1 * len(draw_svg(drawn, LIGHT, COLOURS))


def test_the_switch_is_there_where_it_does_something(one_replicate: StudyFiles) -> None:
    study = converted()
    drawn = figures(study)
    assert '<input type="checkbox" id="replicates">' in render([study], drawn, "")
    assert '<input type="checkbox" id="replicates" checked>' in render([study], drawn, "", replicates=True)
    assert 'id="replicates"' not in render([one_replicate], figures(one_replicate), "")


CLICK = """<script>
const marks = () => document.querySelectorAll("svg .mark-line path, svg .mark-symbol path, svg .mark-rule line").length;
const page = document.documentElement, seen = [];
const waiting = setInterval(() => {
  if (!page.dataset.drawn) return;
  seen.push(marks());
  delete page.dataset.drawn;
  if (seen.length < 3) document.getElementById("replicates").click();
  else { clearInterval(waiting); console.info("probe: " + seen.join(" ")); }
}, 50);
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="needs chromium on the PATH")
def test_the_switch_draws_more_and_the_same_again(pages: dict[str, Path], tmp_path: Path) -> None:
    assert BROWSER is not None
    start, _, end = pages["find-ticket"].read_text().rpartition("</body>")
    (tmp_path / "clicked.html").write_text(start + CLICK + end)
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
               "--window-size=1400,1200", "--virtual-time-budget=30000", "--enable-logging=stderr", "--dump-dom",
               (tmp_path / "clicked.html").as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    off, on, again = map(int, re.findall(r"probe: (\d+) (\d+) (\d+)", done.stderr)[0])
    assert on > 2 * off == 2 * again
