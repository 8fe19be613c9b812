"""The marks of a figure: from a plot, which is data, and the rows of a study or one of its tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lth.analysis.documents import Interval, PlotDocument, Results
from lth.analysis.numbers import bounded, scale, show, unit_of_difference
from lth.analysis.reading import Measure, arms_of, metric_named, metric_of, num_replicates, over_replicates, value_of
from lth.analysis.statistics import known_of
from lth.report.frames import DataRow
from lth.report.places import axis_of
from lth.report.study import StudyFiles
from lth.report.words import axis_title, minus

Value = float | str | None

FEWEST = 3
"""Values whose interval is drawn: that of two reaches beyond every frame, so that they are drawn themselves."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One point of a figure: a measure over replicates at one x, of one line."""

    x: Value
    colour: Value
    panel: Value
    arm: str
    place: str
    interval: Interval


def marks(study: StudyFiles, plot: PlotDocument) -> list[Mark]:
    """Return the marks of a plot, in the order of the document; those without any value are left out.

    All rows of one x, colour, panel and arm make one mark: the mean of each replicate first, then over replicates. In a
    table without a `replicate` each row counts as one.
    """
    groups: dict[tuple[Value, Value, Value, str], dict[int, list[float]]] = {}
    places: dict[tuple[Value, Value, Value, str], dict[str, set[float | str]]] = {}
    for index, (columns, arm, replicate, value) in enumerate(_records(study, plot)):
        key = (columns.get(plot["x"]), columns.get(plot["colour"]), columns.get(plot["panel"]), arm)
        by_replicate = groups.setdefault(key, {})
        if value is not None:
            by_replicate.setdefault(index if replicate is None else replicate, []).append(value)
        for name, place in columns.items():
            places.setdefault(key, {}).setdefault(name, set()).add(place)
    result = []
    for (x, colour, panel, arm), by_replicate in groups.items():
        if not by_replicate:
            continue
        rest = {name: only for name, (only, *more) in places[x, colour, panel, arm].items() if not more}
        place = ", ".join(
            f"{name.replace('_', ' ')} {axis_of(study.results, name).shown(value)}"
            for name, value in rest.items()
            if name not in (plot["x"], plot["colour"], plot["panel"], "arm")
        )
        values = by_replicate if not plot["table"] else dict(enumerate(by_replicate.values()))
        count = len(values) if plot["table"] else num_replicates(study.results)
        interval = over_replicates(values, count, study.results["confidence"])
        result.append(Mark(x, colour, panel, arm, place, interval))
    return result


def _records(study: StudyFiles, plot: PlotDocument) -> list[tuple[Mapping[str, Any], str, int | None, float | None]]:
    """Return columns, arm, replicate and value of each row."""
    if plot["table"]:
        table = study.details["tables"].get(plot["table"], [])
        used = (plot["x"], plot["colour"], plot["panel"])
        return [
            (
                {name: row[name] for name in used if name in row},
                str(row.get("arm", "")),
                row.get("replicate"),
                row.get(plot["y"]),
            )
            for row in table
        ]
    order = {arm["name"]: index for index, arm in enumerate(study.results["arms"])}
    ordered = sorted(study.results["rows"], key=lambda row: order.get(row["arm"], len(order)))
    return [
        ({**row["at"], "arm": row["arm"]}, row["arm"], row["replicate"], value_of(study.results, row, plot["y"]))
        for row in ordered
    ]


def metric_of_plot(results: Results, plot: PlotDocument) -> Measure:
    """Return what the y axis shows."""
    is_column = plot["table"] and plot["y"] != "primary"
    return metric_named(results, plot["y"]) if is_column else metric_of(results, plot["y"])


def title_of_y(results: Results, plot: PlotDocument) -> str:
    """Return the title of the y axis: the plot's own, or the metric's; behind differences stands their unit."""
    unit = unit_of_difference(metric_of(results, "primary")).strip() if plot["y"] == "difference" else ""
    title = plot["y_words"] or axis_title(metric_of_plot(results, plot))
    return f"{title} ({unit})" if unit else title


def colour_domain(results: Results) -> list[str]:
    """Return the arms in the order of the colours: the baseline last, whose colour is the neutral one."""
    baseline = [arm["name"] for arm in arms_of(results, "baseline")]
    return [arm["name"] for arm in arms_of(results) if arm["name"] not in baseline] + baseline[:1] + baseline[1:]


def shown_interval(interval: Interval, metric: Measure) -> DataRow:
    """Return mean, low and high as drawn (percent for fractions, and never beyond 0 or 100 %), and in words.

    Of fewer than three values the interval is in words alone.
    """
    factor = scale(metric)
    low, high = bounded(interval, metric)
    mean = interval["mean"]
    value = minus(show(mean, metric))
    between = "" if low is None or high is None else minus(f"{show(low, metric)} to {show(high, metric)}")
    if len(known_of(interval["values"])) < FEWEST:
        low = high = None
    return {
        "mean": None if mean is None else mean * factor,
        "low": None if low is None else low * factor,
        "high": None if high is None else high * factor,
        "value": value,
        "interval": between,
    }


def drawn_ends(interval: Interval, metric: Measure) -> tuple[float | None, float | None]:
    """Return between what an interval is drawn; of two values, these."""
    known = known_of(interval["values"])
    if len(known) < FEWEST:
        return (min(known), max(known)) if len(known) > 1 else (None, None)
    return bounded(interval, metric)


def is_few(results: Results) -> bool:
    """Return whether a study has replicates, and too few of them for intervals to be drawn."""
    return 1 < num_replicates(results) < FEWEST
