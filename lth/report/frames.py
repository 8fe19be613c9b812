"""Which part of an axis to show: the differences that matter, not the collapse of a control."""

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt

Domain = tuple[float, float]


def accuracy_frame(
    reference: float | None,
    focus: Iterable[float | None],
    others: Iterable[float | None],
    ends: Iterable[float | None] = (),
    noise: float = 0.0,
) -> tuple[Domain, bool]:
    """The range of an accuracy axis in percent, and whether some means lie below it.

    Differences between networks are of the order of the dense network's error, so a frame reaches one and a half times
    that error (or four times the noise; 2 to 15 points) below the dense accuracy. It reaches further for lines in
    focus, up to four times as far, and shows everything if that takes no more than half as much again.

    Args:
        reference: accuracy of the dense network in percent; None takes the best mean.
        focus: means of the lines that the figure is about, in percent.
        others: means of the other lines.
        ends: ends of intervals; they widen the frame while they are as near as that, and are cut beyond.
        noise: a typical half-width of an interval, in points: to look closer than that shows nothing.
    """
    near = [value for value in focus if value is not None]
    known = near + [value for value in others if value is not None]
    if not known:
        return (0.0, 100.0), False
    anchor = max(known) if reference is None else reference
    drop = min(max(1.5 * (100 - anchor), 4 * noise, 2.0), 15.0)
    bottom = min([anchor - drop, *(value for value in near if value >= anchor - 4 * drop)])
    is_cut = min(known) < anchor - 1.5 * (anchor - bottom)
    shown = [*known, *(end for end in ends if end is not None and abs(end - anchor) <= drop)]
    lowest, highest = bottom if is_cut else min(shown), min(max(shown), 100.0)
    margin = max(0.06 * (highest - lowest), 0.05)
    return (max(lowest - margin, 0.0), highest + margin), is_cut


def remaining_axis(percents: Sequence[float], title: str = "Weights remaining (%)") -> alt.X:
    """The x axis of every figure by level: percent of weights remaining, logarithmic, falling from left to right."""
    most, least = max(percents), min(percents)
    margin = max((most / least) ** 0.025, 1.01)
    return alt.X(
        "percent:Q",
        title=title,
        scale=alt.Scale(type="log", domain=[most * margin, least / margin], nice=False),
        axis=alt.Axis(
            values=sorted(set(percents), reverse=True),
            labelExpr="format(datum.value, '.3~g')",
            labelOverlap="greedy",
            labelSeparation=6,
        ),
    )


def spread(levels: Iterable[int], count: int, wanted: int | None = None) -> list[int]:
    """At most `count` (3 or more) levels from first to last, evenly spread; the nearest one yields to `wanted`."""
    have = sorted(set(levels))
    if len(have) <= count:
        return have
    chosen = sorted({have[round(index * (len(have) - 1) / (count - 1))] for index in range(count)})
    if wanted in have and wanted not in chosen:
        nearest = min(chosen[1:-1], key=lambda level: abs(level - wanted))
        chosen = sorted({*chosen, wanted} - {nearest})
    return chosen


def rows(values: Sequence[dict[str, Any]]) -> alt.InlineData:
    """Inline data, floats rounded to seven significant digits: the page holds them as text."""
    return alt.InlineData(
        values=[
            {key: float(f"{value:.7g}") if isinstance(value, float) else value for key, value in row.items()}
            for row in values
        ]
    )
