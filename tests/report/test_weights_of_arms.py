"""Layers and weights of several arms at one place: each arm is told apart."""

from typing import Any

import pytest
from made import METRICS, document, row, study_of
from test_report_figures import drawn_rows

from lth.report import StudyFiles
from lth.report.distributions import distribution_figure
from lth.report.figure import Figure, as_chart
from lth.report.tables import main_table
from lth.report.theme import LIGHT
from lth.report.weights import layer_density_figure

ROLES = {"dense": "baseline", "ticket": "baseline", "one": "subject", "two": "subject"}
KEPT = {"ticket": 0.5, "one": 0.5, "two": 0.25}


def study(levels: int) -> StudyFiles:
    """Three arms at each level, of which each keeps less of layer a than of layer b."""
    places = [("dense", 0)] + [(arm, level) for level in range(1, levels + 1) for arm in KEPT]
    rows = [row(arm, each, {"level": level}, {"accuracy": 0.9}, 10) for arm, level in places for each in (0, 1)]
    arms = [{"name": name, "words": name, "role": role} for name, role in ROLES.items()]
    layers, distributions = [], []
    for arm, level in places:
        for layer, share in (("a.weight", 0.5), ("b.weight", 1.0)):
            density = KEPT[arm] ** level * share if level else 1.0
            named: dict[str, Any] = {"arm": arm, "at": {"level": level}, "layer": layer}
            layers.append({**named, "weights": 100, "kept": 100 * density, "density": density})
            distributions.append({**named, "edges": [-1, 0, 1], "start": [0.5, 0.5], "end": [density, 1 - density]})
    verdict = {"found": False, "confirmed": None, "summary": "", "title": "", "sentences": [], "tiles": []}
    made = document("ablate", METRICS, arms, [], rows)
    return study_of(made, {**verdict, "at": {"level": levels}}, layers=layers, distributions=distributions)


def checked(figure: Figure | None) -> Figure:
    assert figure is not None
    as_chart(figure, LIGHT, LIGHT.categories)  # altair checks all of it
    return figure


def test_arms_of_one_density_have_a_bar_each() -> None:
    figure = checked(layer_density_figure(study(1)))
    assert len(figure.panels) == 1
    bars = {(each["category"], each["line"]): each["mean"] for each in drawn_rows(figure) if "mean" in each}
    assert bars == {
        (layer, arm): 100 * (KEPT[arm] * share if arm in KEPT else 1.0)
        for layer, share in (("a", 0.5), ("b", 1.0)) for arm in ROLES
    }  # fmt: skip


def test_arms_of_several_densities_have_a_panel_each() -> None:
    figure = checked(layer_density_figure(study(2)))
    assert [panel["title"] for panel in figure.panels] == ["ticket", "one", "two"]
    for index, kept in enumerate(KEPT.values()):
        drawn = {each["density"] for each in drawn_rows(figure, index) if each.get("layer") == "b"}
        assert drawn == {100.0, 100 * kept, 100 * kept**2}  # the dense network stands in each


@pytest.mark.parametrize("levels", [1, 2])
def test_surviving_weights_are_those_of_each_arm_at_the_verdicts_place(levels: int) -> None:
    figure = checked(distribution_figure(study(levels)))
    assert f"At level {levels}." in figure.caption
    for index, share in enumerate((0.5, 1.0)):
        lines = {each["place"]: each["density"] for each in drawn_rows(figure, index) if each["weight"] < 0}
        assert lines.pop("") == 0.5  # the start of the dense network
        assert lines == {arm: kept**levels * share for arm, kept in KEPT.items()}


def test_a_baseline_at_the_place_of_others_has_a_column_of_its_own() -> None:
    dense, level = main_table(study(1).results).lines
    assert [(cell.note, cell.span) for cell in dense.values if cell] == [("dense", 3)] * (len(dense.values))
    assert len(level.values) == 3 * len(dense.values)
    assert None not in level.values
