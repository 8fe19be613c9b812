"""Frames, spreads and the edges of lines."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lth.analysis.reading import Measure
from lth.report.frames import cropped, frame, full_frame, spread, width_of

SHARE = Measure("accuracy", "higher", "fraction", "")
ERROR = Measure("error", "lower", "fraction", "")
LOSS = Measure("loss", "lower", "nats", "")


def test_collapse_of_a_control_does_not_flatten_the_subject() -> None:
    (bottom, top), is_cut = frame(SHARE, 98.0, focus=[98.0, 98.3], others=[97.1, 11.3])
    assert is_cut
    assert 94.5 < bottom < 95.0  # 1.5 times the error of 2 points below, and a margin
    assert 98.3 < top < 99


def test_an_error_is_framed_like_its_complement() -> None:
    (bottom, top), is_cut = frame(ERROR, 2.0, focus=[2.0, 1.7], others=[2.9, 88.7])
    assert is_cut
    assert 5.0 < top < 5.5
    assert 1 < bottom < 1.7


def test_a_loss_that_explodes_does_not_flatten_the_others() -> None:
    (bottom, top), is_cut = frame(LOSS, 1.482, focus=[1.482, 1.47, 1.50, 1.53], others=[1.6, 9.0])
    assert is_cut
    assert 1.53 < top < 1.7
    assert 1.4 < bottom < 1.47


def test_the_subject_is_followed_further_down_than_a_control() -> None:
    assert frame(SHARE, 98.0, focus=[92.0], others=[]) == frame(SHARE, 98.0, focus=[92.0], others=[92.0])
    (bottom, _), is_cut = frame(SHARE, 98.0, focus=[92.0], others=[60.0])
    assert is_cut
    assert 91 < bottom < 92


def test_wide_intervals_widen_the_frame() -> None:
    (bottom, _), is_cut = frame(SHARE, 98.0, focus=[98.0], others=[91.0, 60.0], noise=2.0)
    assert is_cut
    assert 89 < bottom < 90


def test_what_fits_is_shown_whole() -> None:
    (bottom, top), is_cut = frame(SHARE, 98.0, focus=[98.0, 98.3], others=[96.0], ends=[95.9, None, 60.0])
    assert not is_cut
    assert 95 < bottom < 95.9
    assert top > 98.3


VALUES = st.lists(st.floats(0, 100))


@pytest.mark.parametrize("metric", [SHARE, ERROR, LOSS], ids=lambda metric: metric.name)
@given(st.floats(0, 100), VALUES, VALUES, st.lists(st.floats(-50, 150)))
def test_frame_holds_the_reference_and_the_best(
    metric: Measure, reference: float, focus: list[float], others: list[float], ends: list[float]
) -> None:
    known = [reference, *focus, *others]
    (low, high), is_cut = frame(metric, reference, [reference, *focus], others, ends)
    assert 0 <= low <= reference <= high
    assert low <= (max(known) if metric.better == "higher" else min(known)) <= high
    assert is_cut or (low <= min(known) and max(known) <= high)


@given(st.sets(st.integers(0, 40), min_size=1), st.integers(3, 8), st.integers(0, 40))
def test_spread_keeps_the_ends_and_the_wanted_value(values: set[int], count: int, wanted: int) -> None:
    chosen = spread(values, count, wanted)
    assert len(chosen) == min(count, len(values))
    assert chosen[0] == min(values)
    assert chosen[-1] == max(values)
    assert set(chosen) <= values
    assert wanted in chosen or wanted not in values


def row(x: float, mean: float, half: float) -> dict[str, Any]:
    return {"x": x, "mean": mean, "low": mean - half, "high": mean + half, "value": str(mean)}


def test_a_line_ends_where_it_crosses_the_edge() -> None:
    found = cropped([row(0, 8, 1), row(10, -2, 1)], (0, 10), is_log=False)
    assert [each["x"] for each in found] == pytest.approx([0, 7, 8, 9, 10])  # low, mean and high cross 0 in turn
    assert [each["mean"] for each in found[:3]] == pytest.approx([8, 1, 0], abs=1e-9)
    assert [each["mean"] for each in found[3:]] == [None, None]
    assert [each["low"] for each in found] == pytest.approx([7, 0, 0, 0, 0], abs=1e-9)
    assert [each["high"] for each in found] == pytest.approx([9, 2, 1, 0, 0], abs=1e-9)
    assert ["value" in each for each in found] == [True, False, False, False, True]
    assert [each.get("crosses") for each in found] == [None, "", "low", "", None]  # the mean crosses once


def test_a_line_on_a_logarithmic_axis_is_straight_in_the_picture() -> None:
    found = cropped([row(100, 1, 0.1), row(1, -1, 0.1)], (0, 5), is_log=True)
    assert found[2]["x"] == pytest.approx(10)


def test_what_lies_inside_stays_as_it_is() -> None:
    line = [row(1, 2, 1), row(2, 3, 1)]
    assert cropped(line, (0, 10), is_log=False) == line


@pytest.mark.parametrize(("low", "high"), [(78.025, 78.025), (78.025, 78.025 + 2e-10), (0.0, 0.0), (-3.0, -3.0)])
def test_one_value_has_room_on_an_axis(low: float, high: float) -> None:
    assert width_of(low, high) > 1e-3 * abs(high)
    bottom, top = full_frame(LOSS, [low, high])
    assert bottom <= low < top
    assert top - bottom > 1e-3 * abs(high)
