"""Layers of single replicates, which figures hold and show on request."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from lth.analysis.numbers import scale
from lth.analysis.reading import Measure
from lth.report.figure import REPLICATES
from lth.report.frames import MEASURED, DataRow, Domain, cropped, rows
from lth.report.marks import Mark

Line = tuple[DataRow, Mark]
"""What rows of a mark's replicates say beside their value, with `x` where it has one; and the mark."""


def replicate_rows(marks: Sequence[Line], metric: Measure, domain: Domain, *, is_log: bool) -> list[DataRow]:
    """Return a row for each replicate of each mark, line by line, with nothing outside the frame.

    Empty where there is one replicate alone: the mean is it.
    """
    if all(len(mark.interval["values"]) < 2 for _, mark in marks):
        return []
    lines: dict[tuple[str, ...], list[DataRow]] = {}
    for fields, mark in marks:
        for replicate, value in enumerate(mark.interval["values"]):
            if value is not None:
                row = {**fields, "replicate": replicate, "mean": value * scale(metric), "low": None, "high": None}
                named = tuple(str(fields.get(name)) for name in ("study", "line", "arm_of_line"))
                lines.setdefault((*named, str(replicate)), []).append(row)
    ordered = (sorted(line, key=lambda row: row["x"], reverse=is_log) for line in lines.values())
    whole = [row for line in ordered for row in cropped(line, domain, is_log=is_log)]
    return [{name: value for name, value in row.items() if name not in ("low", "high")} for row in whole]


def replicate_layers(
    table: Sequence[DataRow],
    y: alt.Y,
    *,
    lines: bool = True,
    value: str = "mean",
    always: bool = False,
    **encodings: Any,
) -> list[Any]:
    """Return thin lines and small points of single replicates; points alone where `lines` is off, or `always` is on.

    They are drawn on request; where `always` is on, they stand for intervals.
    """
    if not table:
        return []
    named: dict[str, Any] = {} if always else {"description": REPLICATES}
    base = alt.Chart(rows(table), **named).encode(y=y, **encodings)
    size = 20 if always else 11
    tooltip = [alt.Tooltip("replicate:N"), alt.Tooltip(f"{value}:Q", title="value", format=".4~g")] if always else []
    shown = MEASURED if value == "mean" else f"isValid(datum.{value})"
    points = base.transform_filter(shown).mark_point(filled=True, size=size, opacity=0.7)
    points = points.encode(tooltip=tooltip) if tooltip else points
    if always or not lines:
        return [points]
    names = [name for name in ("line", "arm_of_line", "replicate") if name in table[0]]
    thin = base.mark_line(strokeWidth=0.9, opacity=0.55).encode(detail=[f"{name}:N" for name in names])
    return [thin, points]


def replicate_rules(row: DataRow, mark: Mark, metric: Measure, domain: Domain) -> list[Any]:
    """Return a thin rule across the frame for each replicate of a level line."""
    values = [value * scale(metric) for value in mark.interval["values"] if value is not None]
    table = [{**row, "replicate": each, "mean": value} for each, value in enumerate(values)]
    table = [row for row in table if domain[0] <= row["mean"] <= domain[1]]
    if len(values) < 2 or not table:
        return []
    return [alt.Chart(rows(table), description=REPLICATES).mark_rule(strokeWidth=0.9, opacity=0.55).encode(y="mean:Q")]
