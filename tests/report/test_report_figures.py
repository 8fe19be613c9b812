"""Figures of every shape of study: what is drawn is what was measured."""

from copy import deepcopy
from typing import Any

import pytest
from made import other_seed, plot, with_rows

from lth.report import StudyFiles, chart, figures
from lth.report.compare import comparison_figures
from lth.report.figure import Figure, as_chart, without_replicates
from lth.report.marks import colour_domain, marks
from lth.report.names import check_comparable, differing_fields, study_names
from lth.report.theme import LIGHT

NAMES = {
    "find-ticket": [
        *("by_density", "early_stopping", "at_best"),
        *("training_curves", "layer_density", "weight_distributions"),
    ],
    "language-model": ["by_density", "early_stopping", "perplexity", "training_curves"],
    "regression": ["by_density", "mse"],
    "connect": ["error", "loss"],
    "stability": ["layers", "overlap"],
    "supermask": ["arms"],
}


def drawn_rows(figure: Figure, index: int = 0) -> list[dict[str, Any]]:
    """All rows in the data of one panel."""
    return [row for table in figure.panels[index]["datasets"].values() for row in table if "replicate" not in row]


@pytest.mark.parametrize("shape", NAMES)
def test_every_figure_is_made_and_is_valid(studies: dict[str, StudyFiles], shape: str) -> None:
    drawn = figures(studies[shape])
    assert [figure.name for figure in drawn] == NAMES[shape]
    for figure in drawn:
        as_chart(figure, LIGHT, LIGHT.categories)  # altair checks all of it
    document = chart(studies[shape], drawn[0].name).to_dict()
    assert document["config"]["background"] == "#ffffff"


def test_an_unknown_figure_is_answered_with_those_there_are(studies: dict[str, StudyFiles]) -> None:
    with pytest.raises(ValueError, match="unknown figure 'los'. Did you mean 'loss'"):
        chart(studies["connect"], "los")


def test_points_are_the_results(study: StudyFiles) -> None:
    figure = figures(study)[0]
    table = [row for row in drawn_rows(figure) if row.get("arm") == "ticket" and row.get("value")]
    last = [row for row in study.results["rows"] if row["arm"] == "ticket" and row["at"]["level"] == 21]
    mean = sum(row["end"]["test/accuracy"] or 0 for row in last) / len(last)
    assert len(table) == 21
    assert table[-1]["x"] == pytest.approx(100 * float(last[0]["at"]["density"]), rel=1e-6)
    assert table[-1]["mean"] == pytest.approx(100 * mean, rel=1e-6)
    starts = [row for row in drawn_rows(figure) if row.get("arm") == "dense" and row["line"] == "ticket"]
    assert [row["x"] for row in starts] == [100.0]


def test_bands_never_pass_a_hundred_percent(study: StudyFiles) -> None:
    for row in study.results["rows"]:
        if row["arm"] == "ticket":
            row["end"]["test/accuracy"] = 0.97 if row["replicate"] else 1.0
    highs = [row["high"] for row in drawn_rows(figures(study)[0]) if row.get("line") == "ticket" and row["high"]]
    assert max(highs) <= 100


def test_a_triangle_marks_where_a_line_leaves_the_frame(study: StudyFiles) -> None:
    [spec] = figures(study)[0].panels
    bottom, _ = spec["layer"][-1]["encoding"]["y"]["scale"]["domain"]
    [layer] = [each for each in spec["layer"] if each["mark"].get("shape") == "triangle-down"]
    assert "color" in layer["encoding"]
    crossed = [row for row in spec["datasets"][layer["data"]["name"]] if row.get("crosses") == "low"]
    assert {row["line"] for row in crossed} == {"reinit", "random"}
    assert [row["mean"] for row in crossed] == pytest.approx([bottom] * len(crossed))


def test_two_replicates_are_points_and_no_band(study: StudyFiles) -> None:
    few = with_rows(study, lambda row: row["replicate"] < 2)
    figure = figures(few)[0]
    assert "Means over 2 replicates, which are the small points" in figure.caption
    assert without_replicates(figure.panels[0]) == figure.panels[0] or "rule" in str(figure.panels[0])
    assert all(row["low"] is None for row in drawn_rows(figure) if "low" in row)
    single = [row for table in figure.panels[0]["datasets"].values() for row in table if "replicate" in row]
    assert {row["replicate"] for row in single} == {0, 1}
    points = [layer for layer in without_replicates(figure.panels[0])["layer"] if layer["mark"].get("size") == 20]
    assert len(points) == 1  # without a request
    values = [row["end"]["test/accuracy"] for row in few.results["rows"] if row["arm"] == "ticket"]
    domain = next(layer["encoding"]["y"]["scale"]["domain"] for layer in points)
    assert domain[0] <= 100 * min(values) < domain[0] + 3  # type: ignore[type-var]


def test_of_many_arms_the_subjects_have_bands(study: StudyFiles) -> None:
    for arm in ("one", "two", "three"):
        study.results["arms"].append({"name": arm, "words": arm, "role": "control"})
        copies = [row | {"arm": arm} for row in study.results["rows"] if row["arm"] == "random"]
        study.results["rows"] += copies  # type: ignore[arg-type]
    figure = figures(study)[0]
    assert "Bands around what the study is about alone" in figure.caption
    bands = next(layer for layer in figure.panels[0]["layer"] if layer["mark"]["type"] == "area")
    assert '["ticket"]' in bands["transform"][0]["filter"]


def test_the_baseline_is_the_last_colour_and_in_the_key(studies: dict[str, StudyFiles]) -> None:
    figure = figures(studies["find-ticket"])[0]
    assert [value for value, _ in figure.keys[0].entries] == ["ticket", "reinit", "random", "dense"]


def test_a_panel_a_value_and_a_colour_a_density(studies: dict[str, StudyFiles]) -> None:
    figure = figures(studies["connect"])[0]
    assert [spec["title"] for spec in figure.panels] == ["Rewind 0", "Rewind 100", "Rewind 2,000"]
    assert [words for _, words in figure.keys[0].entries] == ["100 %", "41 %", "10.7 %", "3.5 %"]
    assert len(drawn_rows(figure)) == 4 * 11


def test_several_arms_are_told_apart_by_dashes(studies: dict[str, StudyFiles]) -> None:
    study = deepcopy(studies["connect"])
    study.results["arms"].append({"name": "random", "words": "random masks", "role": "control"})
    study.results["rows"] += [{**row, "arm": "random"} for row in study.results["rows"]]
    assert [key.channel for key in figures(study)[0].keys] == ["color", "strokeDash"]


def test_arms_that_a_table_names_keep_their_colours(study: StudyFiles) -> None:
    columns = {"y": "difference", "colour": "against", "table": "differences", "log_x": True}
    study.results["plots"] = [plot("differences", "Beside the others", "Differences.", "density", **columns)]  # type: ignore[list-item]
    study.details["tables"] = {
        "differences": [
            {"against": arm, "density": density, "replicate": number, "difference": number - density}
            for arm in ("random", "dense")
            for density in (0.5, 0.2)
            for number in range(3)
        ]
    }
    [figure] = [each for each in figures(study) if each.name == "differences"]
    colours = [layer["encoding"]["color"] for layer in figure.panels[0]["layer"] if "color" in layer["encoding"]]
    assert colours
    for each in colours:
        assert each["scale"] == {"domain": colour_domain(study.results)}  # and no range of its own
    assert [text for text, _ in figure.keys[0].entries] == ["random", "dense"]


@pytest.mark.parametrize(("rounds", "is_dashed"), [([1, 2], True), ([1], False)])
def test_curves_of_baselines_that_change_are_dashed(study: StudyFiles, rounds: list[int], is_dashed: bool) -> None:
    values = {"validation/accuracy": [0.9, 0.95]}
    study.details["curves"] = [
        {"arm": arm, "at": {"density": 1 / number}, "steps": [100, 200], "values": values}
        for arm, numbers in (("dense", rounds), ("ticket", [1, 2]), ("random", [1, 2]))
        for number in numbers
    ]
    [figure] = [each for each in figures(study) if each.name == "training_curves"]
    assert (", dashed" in figure.caption) is is_dashed
    assert any("strokeDash" in layer["encoding"] for layer in figure.panels[0]["layer"]) is is_dashed


def test_a_table_is_a_mean_over_its_replicates(studies: dict[str, StudyFiles]) -> None:
    study = studies["stability"]
    place = {"layer": "lm_head", "masks": "two tickets", "density": 0.107}
    chosen = [row for row in study.details["tables"]["layers"] if place.items() <= row.items()]
    drawn = marks(study, study.results["plots"][0])
    found = [mark for mark in drawn if [mark.x, mark.colour, mark.panel] == [*place.values()]]
    assert len(chosen) == 3
    assert found[0].interval["values"] == [row["overlap"] for row in chosen]


def test_without_details_the_other_figures_are_made(study: StudyFiles) -> None:
    bare = StudyFiles(study.results, {**study.details, "curves": [], "layers": [], "distributions": []})
    assert [figure.name for figure in figures(bare)] == NAMES["find-ticket"][:3]


def test_a_curve_of_another_metric_stands_in(study: StudyFiles) -> None:
    for curve in study.details["curves"]:
        del curve["values"]["validation/accuracy"]
    figure = next(figure for figure in figures(study) if figure.name == "training_curves")
    assert figure.caption.startswith("Validation loss (nats)")


def test_layers_of_one_density_are_a_list(studies: dict[str, StudyFiles]) -> None:
    study = deepcopy(studies["supermask"])
    study.details["layers"] = [
        {"at": {}, "layer": name, "weights": 100, "kept": kept, "density": kept / 100}
        for name, kept in (("hidden.weight", 20), ("output.weight", 60))
    ]
    table = [row for row in drawn_rows(figures(study)[-1]) if "mean" in row]
    assert {row["category"]: row["mean"] for row in table} == {"hidden": 20.0, "output": 60.0}


def test_a_place_where_all_diverged_has_no_point(study: StudyFiles) -> None:
    for row in study.results["rows"]:
        if row["arm"] == "ticket" and row["at"]["level"] == 21:
            row["diverged_at"] = 10
    found = marks(study, study.results["plots"][0])
    assert len([mark for mark in found if mark.arm == "ticket"]) == 20


def test_figures_name_no_colour(studies: dict[str, StudyFiles]) -> None:
    for study in studies.values():
        assert "'#" not in str([figure.panels for figure in figures(study)])


def test_study_names_are_unique_and_say_what_differs(study: StudyFiles) -> None:
    other = other_seed(study)
    assert list(differing_fields([study, other])) == ["seed"]
    assert study_names([study, other])[1] == "seed another"
    assert len(set(study_names([study, study, other]))) == 3
    other.results["config"] |= {"model": "mine", "model_structure": "6f6e", "seed": study.results["config"]["seed"]}
    assert study_names([study, other])[1] == "model mine"  # its digest differs too, and says nothing


def test_a_comparison_draws_what_all_have(studies: dict[str, StudyFiles]) -> None:
    other = other_seed(studies["find-ticket"])
    other.results["plots"] = [*other.results["plots"][:2], plot("own", "Own", "Its own.", "level")]  # type: ignore[list-item]
    drawn = comparison_figures([studies["find-ticket"], other])
    assert [figure.name for figure in drawn] == ["by_density", "early_stopping"]
    bars = comparison_figures([studies["supermask"], other_seed(studies["supermask"])])
    assert [value for value, _ in bars[0].keys[0].entries] == ["seed 0", "seed another"]


def test_other_metrics_are_not_compared(studies: dict[str, StudyFiles]) -> None:
    with pytest.raises(ValueError, match="one primary metric"):
        check_comparable([studies["find-ticket"], studies["language-model"]])


def test_lines_of_one_place_show_their_intervals_side_by_side(studies: dict[str, StudyFiles]) -> None:
    whole = studies["connect"]
    place = sorted({row["at"]["share"] for row in whole.results["rows"] if "share" in row["at"]})[1]
    figure = figures(with_rows(deepcopy(whole), lambda row: row["at"].get("share") == place))[0]
    as_chart(figure, LIGHT, LIGHT.categories)
    bars = [
        layer["mark"]["xOffset"]
        for layer in without_replicates(figure.panels[0])["layer"]
        if "xOffset" in layer.get("mark", {})
    ]
    assert len(bars) == 2 * len(set(bars)) > 0  # a bar and a point for each line, at an offset of its own
