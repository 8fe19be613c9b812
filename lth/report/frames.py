"""Which part of an axis to show: the differences that matter, not the collapse of a control."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, TypeVar

import altair as alt

from lth.analysis.reading import Measure

T = TypeVar("T", bound=float)
DataRow = dict[str, Any]
"""What one mark of a figure is drawn from: numbers and words by the names that the specification reads."""

Domain = tuple[float, float]


def frame(
    metric: Measure,
    reference: float | None,
    focus: Iterable[float | None],
    others: Iterable[float | None],
    ends: Iterable[float | None] = (),
    noise: float = 0.0,
) -> tuple[Domain, bool]:
    """Return the range of a metric's axis, and whether some means lie outside it.

    A frame reaches some way to the worse side of the reference: for fractions, whose differences are of the order of
    the reference's distance from perfection, one and a half times that distance (2 to 15 points); for other metrics,
    twice the median distance of the lines in focus. It reaches further where intervals are wider than that, and for
    lines in focus, up to four times as far; it shows everything if that takes no more than half as much again.

    Args:
        metric: values are in its unit as shown (percent for fractions).
        reference: the baseline's value; None takes the best mean.
        focus: means of the lines that the figure is about.
        others: means of the other lines.
        ends: ends of intervals; they widen the frame while they are near, and are cut beyond.
        noise: a typical half-width of an interval: to look closer than that shows nothing.
    """
    sign = 1 if metric.better == "higher" else -1
    near = [sign * value for value in focus if value is not None]
    known = near + [sign * value for value in others if value is not None]
    is_fraction = metric.unit == "fraction"
    if not known:
        return ((0.0, 100.0) if is_fraction else (0.0, 1.0)), False
    anchor = max(known) if reference is None else sign * reference
    if is_fraction:
        best = 100.0 if sign > 0 else 0.0
        drop = min(max(1.5 * (best - anchor), 4 * noise, 2.0), 15.0)
    else:
        typical = median(abs(value - anchor) for value in near or known)
        drop = max(2 * typical, 4 * noise, 0.01 * abs(anchor), 1e-9)
    bottom = min([anchor - drop, *(value for value in near if value >= anchor - 4 * drop)])
    is_cut = min(known) < anchor - 1.5 * (anchor - bottom)
    shown = [anchor, *known, *(sign * end for end in ends if end is not None and abs(sign * end - anchor) <= drop)]
    worst, top = bottom if is_cut else min(shown), max(shown)
    margin = max(0.06 * (top - worst), 0.05 if is_fraction else 1e-9)
    low, high = sorted((sign * (worst - margin), sign * (top + margin)))
    if is_fraction:  # the margin at the top is room for points; nothing lies beyond
        low, high = max(low, 0.0), min(high, 100.0 + margin)
    elif min(sign * value for value in known) >= 0:
        low = max(low, 0.0)
    return (low, high), is_cut


def full_frame(metric: Measure, values: Sequence[float]) -> Domain:
    """Return the range that shows all values, with a margin."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    width = width_of(low, high)
    margin = 0.06 * width if high - low == width else width
    bottom = max(low - margin, 0.0) if low >= 0 else low - margin
    return bottom, min(high, 100.0) + margin if metric.unit == "fraction" else high + margin


def width_of(low: float, high: float) -> float:
    """Return the width of a range; of one value, or of rounding errors around it, a twentieth of the value.

    The ticks of an axis that is narrower than its numbers can tell would take all memory.
    """
    return high - low if high - low > 1e-6 * abs(high) else 0.05 * abs(high) or 1.0


def step_frame(means: Iterable[float], ends: Iterable[float | None]) -> Domain:
    """Return the range of an axis of steps, from 0; intervals that reach far beyond all means are cut."""
    highest = max(means, default=1.0)
    return 0.0, 1.08 * max([highest, *(end for end in ends if end is not None and end < 1.3 * highest)])


def falling_axis(values: Sequence[float], field: str, title: str, *, falls: bool = True) -> alt.X:
    """Return a logarithmic x axis that falls from left to right (of counts it rises), with a tick at each value."""
    most, least = max(values), min(values)
    margin = max((most / least) ** 0.025, 1.01)
    return alt.X(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(type="log", domain=[least / margin, most * margin][:: -1 if falls else 1], nice=False),
        axis=alt.Axis(
            values=sorted(set(values), reverse=True),
            labelExpr="format(datum.value, '.3~g')",
            labelOverlap="greedy",
            labelSeparation=6,
        ),
    )


def spread(values: Iterable[T], count: int, wanted: T | None = None) -> list[T]:
    """Return at most `count` (3 or more) values from first to last, evenly spread; the nearest yields to `wanted`."""
    have = sorted(set(values))
    if len(have) <= count:
        return have
    places = {round(index * (len(have) - 1) / (count - 1)) for index in range(count)}
    chosen = [have[place] for place in sorted(places)]
    if wanted is None or wanted not in have or wanted in chosen:
        return chosen
    distances = {value: abs(value - wanted) for value in chosen[1:-1]}
    nearest = min(distances, key=distances.__getitem__)
    return sorted({*chosen, wanted} - {nearest})


MEASURED = "isValid(datum.mean) && !isDefined(datum.crosses)"
"""Which rows of cropped lines are measurements inside the frame, for points: crossings of its edge are none."""


def cropped(line: Sequence[DataRow], domain: Domain, *, is_log: bool) -> list[DataRow]:
    """Return the rows of one line (x, mean, low, high), from left to right, with nothing outside the frame.

    Where the mean or an end of the band crosses the frame's edge a row is added, so that what is drawn ends there
    exactly. A clipped mark would look the same and cost a picture half a second. Such a row is no measurement: it has
    no `value`, and its `crosses` names the edge, `low` or `high`, that the mean crosses; empty where the band does.
    """
    full = [row for pair in pairwise(line) for row in (pair[0], *_crossings(*pair, domain, is_log))]
    slack = 1e-9 * (domain[1] - domain[0])
    inside = []
    for row in [*full, *line[-1:]]:
        ends = {end: None if row[end] is None else min(max(row[end], domain[0]), domain[1]) for end in ("low", "high")}
        is_inside = domain[0] - slack <= row["mean"] <= domain[1] + slack
        inside.append({**row, **ends, "mean": row["mean"] if is_inside else None})
    return inside


def _crossings(first: DataRow, second: DataRow, domain: Domain, is_log: bool) -> list[DataRow]:
    """Return rows between two at which one of their ends crosses an edge."""
    ends = [end for end in ("mean", "low", "high") if first[end] is not None and second[end] is not None]
    shares = {
        (edge - first[end]) / (second[end] - first[end])
        for end in ends
        for edge in domain
        if (first[end] - edge) * (second[end] - edge) < 0
    }
    crosses = {
        (edge - first["mean"]) / (second["mean"] - first["mean"]): name
        for name, edge in zip(("low", "high"), domain, strict=True)
        if first["mean"] != second["mean"]
    }
    rows = []
    for share in sorted(shares):
        between = {end: first[end] + share * (second[end] - first[end]) for end in ends}
        x = first["x"] + share * (second["x"] - first["x"])
        x = first["x"] ** (1 - share) * second["x"] ** share if is_log else x
        rest = {name: value for name, value in first.items() if name not in ("value", "interval", "place")}
        rows.append({**rest, "low": None, "high": None, **between, "x": x, "crosses": crosses.get(share, "")})
    return rows


def rows(values: Sequence[DataRow]) -> alt.InlineData:
    """Return inline data, floats rounded to seven significant digits: the page holds them as text."""
    return alt.InlineData(
        values=[
            {key: float(f"{value:.7g}") if isinstance(value, float) else value for key, value in row.items()}
            for row in values
        ]
    )
