"""Cells, places and numbers are what the rows say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import results, row

from lth.analysis.documents import Results
from lth.analysis.numbers import bounded, remaining, show, show_mean, show_paired
from lth.analysis.reading import Measure, baseline_cell, cells, metric_of, num_replicates, places, rows_of, value_of
from lth.analysis.statistics import interval

SHARE = Measure("accuracy", "higher", "fraction", "")
LOSS = Measure("loss", "lower", "nats", "")
PLAIN = Measure("perplexity", "lower", "plain", "")


def study() -> Results:
    return results(
        [
            row("dense", 0, 0, 0.9),
            row("dense", 0, 1, 0.8),
            row("ticket", 2, 0, 0.7, best_step=20),
            row("ticket", 2, 1, 0.5, diverged_at=3),
            row("ticket", 1, 0, 0.6),
        ]
    )


def test_a_cell_holds_a_value_a_replicate() -> None:
    found = {(cell["arm"], cell["at"]["level"]): cell["interval"] for cell in cells(study(), "primary")}
    assert found["dense", 0]["mean"] == pytest.approx(0.85)
    assert found["ticket", 2]["values"] == [0.7, None]  # the second diverged
    assert found["ticket", 1]["values"] == [0.6, None]  # the second is not there
    assert list(found) == [("dense", 0), ("ticket", 1), ("ticket", 2)]


def test_several_rows_of_one_replicate_count_with_their_mean() -> None:
    found = cells(results([row("ticket", 1, 0, 0.2), row("ticket", 1, 0, 0.4)]), "primary")
    assert found[0]["interval"]["values"] == [pytest.approx(0.3)]


def test_measures_are_read_from_their_part() -> None:
    document, one = study(), row("ticket", 1, 0, 0.6, best_step=7)
    one["end"]["validation/accuracy"], one["at_best"]["test/accuracy"] = 0.1, 0.65
    measures = {"primary": 0.6, "end/test/accuracy": 0.6, "end/accuracy": 0.6, "end/validation/accuracy": 0.1}
    measures |= {"at_best/accuracy": 0.65, "at_best/primary": 0.65, "best_step": 7}
    assert {measure: value_of(document, one, measure) for measure in measures} == measures  # type: ignore[arg-type]
    assert value_of(document, one, "end/speed") is None  # type: ignore[arg-type]
    assert value_of(document, one | {"end": {"test/accuracy": float("inf")}}, "primary") is None  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown measure 'accuracy'; write primary, best_step"):
        value_of(document, one, "accuracy")  # type: ignore[arg-type]


def test_metrics_know_their_unit_and_direction() -> None:
    document = study()
    assert metric_of(document, "primary") == Measure("accuracy", "higher", "fraction", "", "test")
    assert metric_of(document, "at_best/validation/loss").part == "validation"
    assert metric_of(document, "best_step").unit == "steps"
    assert "lowest validation loss" in metric_of(document, "best_step").words
    assert LOSS.gain(-0.1) == 0.1


def test_places_are_in_order_and_densities_fall() -> None:
    assert [place["level"] for place in places(study())] == [0, 1, 2]
    document = results([row("path", 0, 0, 0.1, at={"density": each}) for each in (0.1, 1.0, 0.5)])
    assert [place["density"] for place in places(document)] == [1.0, 0.5, 0.1]


def test_the_baseline_is_its_own_place_or_the_only_one() -> None:
    document = study()
    found = baseline_cell(document, "primary", {"level": 2, "density": 0.64})
    assert found is not None
    assert found["at"]["level"] == 0
    assert len(rows_of(document, "ticket")) == 3
    assert num_replicates(document) == 2
    assert baseline_cell(results([row("ticket", 1, 0, 0.5)]), "primary") is None


@pytest.mark.parametrize(
    ("value", "metric", "shown", "difference"),
    [
        (0.9803, SHARE, "98.03 %", "+98.03 points"),
        (-0.0039, SHARE, "-0.39 %", "-0.39 points"),
        (1.4824, LOSS, "1.482", "+1.482 nats"),
        (-0.0213, LOSS, "-0.021", "-0.021 nats"),
        (4.4072, PLAIN, "4.41", "+4.4"),
        (0.0123, PLAIN, "0.0123", "+0.012"),
        (2860.4, PLAIN, "2,860", "+2,860"),
        (0.0, PLAIN, "0.00", "+0.0"),
        (None, SHARE, "none", "none"),
    ],
)
def test_numbers_in_words(value: float | None, metric: Measure, shown: str, difference: str) -> None:
    assert show(value, metric) == shown
    assert show_mean(interval([value], 0.95), metric) == difference


def test_a_difference_that_rounds_to_nothing_has_no_sign_of_loss() -> None:
    assert show_paired(interval([-0.0001, 0.00009], 0.5), LOSS, 0.5) == "+0.000 nats (50 % interval +0.000 to +0.000)"


def test_where_all_replicates_differ_alike_no_interval_is_shown() -> None:
    assert show_paired(interval([0.25, 0.25], 0.95), SHARE, 0.95) == "+25.00 points (the same in all replicates)"


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_bounds_of_a_fraction_stay_in_its_range(values: list[float]) -> None:
    low, high = bounded(interval(values, 0.95), SHARE)
    assert low is not None
    assert high is not None
    assert 0 <= low <= 1
    assert 0 <= high <= 1


@pytest.mark.parametrize(
    ("values", "steps", "ends"),
    [
        ([900, 1000, 1000], 1000, (823.2, 1000)),
        ([900, 1000, 1000], None, (823.2, 1110.1)),
        ([10, 1000], 1000, (0, 1000)),
    ],
)
def test_bounds_of_steps_end_at_the_last_one(values: list[int], steps: int | None, ends: tuple[float, float]) -> None:
    rows = [row("ticket", 1, index, 0.6, best_step=step, steps=steps) for index, step in enumerate(values)]
    metric = metric_of(results(rows), "best_step")
    assert bounded(interval([float(value) for value in values], 0.95), metric) == pytest.approx(ends, abs=0.1)


@pytest.mark.parametrize(("density", "text"), [(1.0, "100"), (0.512, "51.2"), (0.0557, "5.6"), (0.00512, "0.51")])
def test_densities_in_percent(density: float, text: str) -> None:
    assert remaining(density) == text
