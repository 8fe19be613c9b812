"""Frames, levels and rows of the figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lth.report import Study
from lth.report.by_level import arms_of, measure_rows
from lth.report.compare import differing_fields, study_names
from lth.report.frames import accuracy_frame, spread
from lth.report.page import study_figures
from lth.report.study import Results, Speedup, Verdict
from lth.report.tiles import tiles

NAMES = [
    "accuracy",
    "early_stopping",
    "early_stop_accuracy",
    "training_curves",
    "layer_density",
    "weight_distributions",
]


def test_collapse_of_a_control_does_not_flatten_the_ticket() -> None:
    (bottom, top), is_cut = accuracy_frame(98.0, focus=[98.0, 98.3], others=[97.1, 11.3])
    assert is_cut
    assert 94.5 < bottom < 95.0  # 1.5 times the error of 2 points below, and a margin
    assert 98.3 < top < 99


def test_the_ticket_is_followed_further_down_than_a_control() -> None:
    assert accuracy_frame(98.0, focus=[92.0], others=[]) == accuracy_frame(98.0, focus=[92.0], others=[92.0])
    (bottom, _), is_cut = accuracy_frame(98.0, focus=[92.0], others=[60.0])
    assert is_cut
    assert 91 < bottom < 92


def test_wide_intervals_widen_the_frame() -> None:
    (bottom, _), is_cut = accuracy_frame(98.0, focus=[98.0], others=[91.0, 60.0], noise=2.0)
    assert is_cut
    assert 89 < bottom < 90


def test_what_fits_is_shown_whole() -> None:
    (bottom, top), is_cut = accuracy_frame(98.0, focus=[98.0, 98.3], others=[96.0], ends=[95.9, None, 60.0])
    assert not is_cut
    assert 95 < bottom < 95.9
    assert top > 98.3


PERCENTS = st.lists(st.floats(0, 100))


@given(st.floats(0, 100), PERCENTS, PERCENTS, st.lists(st.floats(-50, 150)))
def test_frame_holds_the_reference_and_the_best(
    reference: float, focus: list[float], others: list[float], ends: list[float]
) -> None:
    (bottom, top), is_cut = accuracy_frame(reference, [reference, *focus], others, ends)
    assert 0 <= bottom <= reference < top
    assert max([reference, *focus, *others]) < top
    assert is_cut or min([reference, *focus, *others]) >= bottom


@given(st.sets(st.integers(0, 40), min_size=1), st.integers(3, 8), st.integers(0, 40))
def test_spread_keeps_the_ends_and_the_wanted_level(levels: set[int], count: int, wanted: int) -> None:
    chosen = spread(levels, count, wanted)
    assert len(chosen) == min(count, len(levels))
    assert chosen[0] == min(levels)
    assert chosen[-1] == max(levels)
    assert set(chosen) <= levels
    assert wanted in chosen or wanted not in levels


def test_rows_hold_the_results_in_percent(study: Study) -> None:
    table = measure_rows(study.results, "test_accuracy", "ticket")
    levels = study.results["levels"]
    assert [row["level"] for row in table] == [0, *(level["level"] for level in levels)]
    last = levels[-1]["arms"]["ticket"]["test_accuracy"]
    assert table[-1]["percent"] == pytest.approx(100 * levels[-1]["density"])
    assert [table[-1]["mean"], table[-1]["low"]] == pytest.approx([100 * (last["mean"] or 0), 100 * (last["low"] or 0)])


def test_a_level_where_all_diverged_has_no_row(one_replicate: Study) -> None:
    lost = one_replicate.results["levels"][-1]["arms"]["ticket"]["test_accuracy"]
    lost["mean"], lost["values"] = None, [None]
    assert len(measure_rows(one_replicate.results, "test_accuracy", "ticket")) == len(one_replicate.results["levels"])


def test_all_figures_are_made(study: Study) -> None:
    assert [figure.name for figure in study_figures(study)] == NAMES


def test_without_details_the_other_figures_are_made(study: Study) -> None:
    bare = Study(study.results, {**study.details, "curves": [], "layers": [], "distributions": []})
    assert [figure.name for figure in study_figures(bare)] == NAMES[:3]


def test_controls_off_leaves_the_ticket(no_controls: Study) -> None:
    assert arms_of(no_controls.results) == ["ticket"]
    figure = study_figures(no_controls)[0]
    assert [value for value, _ in figure.keys[0].entries] == ["ticket", "dense"]
    assert not any("reinit" in tile["label"] for tile in tiles(no_controls))


def test_study_names_are_unique_and_say_what_differs(study: Study) -> None:
    config = {**study.results["config"], "seed": "another"}
    other = Study({**study.results, "id": "0" * 12, "config": config}, study.details)
    assert list(differing_fields([study, other])) == ["seed"]
    assert study_names([study, other])[1] == "seed another"
    assert len(set(study_names([study, study, other]))) == 3


def test_tiles_do_not_claim_what_is_not_settled(study: Study) -> None:
    first = study.results["levels"][0]
    interval = first["arms"]["ticket"]["early_stop_iteration"]
    speedup: Speedup = {"ticket_early_stop": interval, "dense_early_stop": interval, "ratio": 1.0}
    verdict: Verdict = {
        "found": True,
        "sentences": ["A match."],
        "level": first["level"],
        "density": first["density"],
        "confirmed": False,
        "speedup": speedup,
    }
    results: Results = {**study.results, "verdict": verdict}
    shown = tiles(Study(results, study.details))
    assert [tile["label"] for tile in shown] == ["Sparsest matching ticket", "Early stopping"]
    assert "not settled" in shown[0]["note"]
    assert shown[1]["value"] == "no earlier"
    speedup["ratio"] = 0.61
    assert tiles(Study(results, study.details))[1]["value"] == "39 % earlier"
