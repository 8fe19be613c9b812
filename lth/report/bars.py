"""Figures over categories: a bar, or a point, for each, with its interval and its replicates."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from lth.analysis.documents import PlotDocument, Results
from lth.analysis.numbers import scale
from lth.analysis.reading import Measure, arms_of
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import DataRow, rows, width_of
from lth.report.marks import Mark, colour_domain, is_few, marks, metric_of_plot, shown_interval, title_of_y
from lth.report.places import axis_of
from lth.report.study import StudyFiles
from lth.report.theme import OTHER
from lth.report.words import over_replicates

ROW = 26
LONGEST = 30


def bar_figure(study: StudyFiles, plot: PlotDocument) -> Figure | None:
    """Return the figure of a plot over categories, which lie one under the other; None without values."""
    results = study.results
    drawable = marks(study, plot)
    baselines = {arm["name"] for arm in arms_of(results, "baseline")}
    level = [mark for mark in drawable if mark.x is None and mark.arm in baselines]
    drawn = [mark for mark in drawable if mark.x is not None]
    if not drawn:
        return None
    metric = metric_of_plot(results, plot)
    values = list(dict.fromkeys(mark.panel for mark in drawn))
    names = _names(drawn, plot, results)
    domain = _domain([*drawn, *level], metric, is_bar=plot["mark"] == "bar")
    panels = tuple(
        _panel(
            results,
            plot,
            metric,
            [mark for mark in drawn if mark.panel == value],
            [mark for mark in level if mark.panel in (value, None)],
            names,
            domain,
        )
        for value in values
    )
    keys = () if plot["colour"] == plot["x"] else (Key("color", "", tuple((name, name) for name in names)),)
    reference = " Dotted: the baseline." if level else ""
    dots = "" if is_few(results) else " Dots are single replicates."
    caption = f"{plot['words']} {over_replicates(results)}{dots}{reference}"
    return Figure(plot["name"], plot["title"], caption, panels, keys)


def _names(drawn: Sequence[Mark], plot: PlotDocument, results: Results) -> list[str]:
    """Return what colours tell apart, as text."""
    present = [_text(results, plot["colour"], mark.colour) for mark in drawn]
    if plot["colour"] == "arm":
        return [name for name in colour_domain(results) if name in present]
    return list(dict.fromkeys(present))


def _text(results: Results, column: str, value: float | str | None) -> str:
    return axis_of(results, column).shown(value) if value is not None else ""


def _domain(drawable: Sequence[Mark], metric: Measure, *, is_bar: bool) -> tuple[list[float], list[float] | None]:
    """Return the range of the values with room for the words behind them, and ticks where they are fixed."""
    if metric.unit == "fraction" and is_bar:
        return [0.0, 114.0], [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    shown = [shown_interval(mark.interval, metric) for mark in drawable]
    ends = [row[end] for row in shown for end in ("mean", "low", "high") if row[end] is not None]
    if not is_bar:  # its dots would lie on the names
        ends += [value * scale(metric) for mark in drawable for value in mark.interval["values"] if value is not None]
    low, high = (min([*ends, 0.0]), max([*ends, 0.0])) if is_bar else (min(ends), max(ends))
    room = width_of(low, high)
    return [low - 0.04 * room * (low < 0 or not is_bar), high + 0.16 * room], None


def _bar_rows(
    results: Results, plot: PlotDocument, metric: Measure, drawn: Sequence[Mark]
) -> tuple[list[DataRow], list[DataRow]]:
    """Return a row per bar, with the end that its words stand behind, and one per replicate."""
    table: list[DataRow] = []
    dots: list[DataRow] = []
    for mark in drawn:
        text = {"category": _text(results, plot["x"], mark.x), "line": _text(results, plot["colour"], mark.colour)}
        shown = shown_interval(mark.interval, metric)
        ends = [shown["mean"], shown["high"], 0.0 if plot["mark"] == "bar" else None]
        table.append({**text, **shown, "end": max(end for end in ends if end is not None), "place": mark.place})
        dots += [{**text, "one": value * scale(metric)} for value in mark.interval["values"] if value is not None]
    return table, dots


def _panel(
    results: Results,
    plot: PlotDocument,
    metric: Measure,
    drawn: Sequence[Mark],
    level: Sequence[Mark],
    names: list[str],
    domain: tuple[list[float], list[float] | None],
) -> Spec:
    table, dots = _bar_rows(results, plot, metric, drawn)
    order = list(dict.fromkeys(row["category"] for row in table))
    is_grouped = plot["colour"] != plot["x"] and len(names) > 1
    limits, ticks = domain
    grid = {"values": ticks} if ticks else {"tickCount": 5}
    x = alt.X(
        "mean:Q",
        title=title_of_y(results, plot),
        scale=alt.Scale(domain=limits, nice=False, zero=False),
        axis=alt.Axis(grid=True, domain=False, **grid),
    )
    title_of_x = None if plot["x"] == "arm" else axis_of(results, plot["x"], plot["x_words"]).title
    limit = 7 * min(max(map(len, order)), LONGEST)
    y = alt.Y("category:N", sort=order, title=title_of_x, axis=alt.Axis(grid=False, ticks=False, labelLimit=limit))
    offset: dict[str, Any] = (
        {"yOffset": alt.YOffset("line:N", sort=names, scale=alt.Scale(paddingInner=0.28))} if is_grouped else {}
    )
    scale_of_colour = {
        "arm": alt.Scale(domain=colour_domain(results)),
        "study": alt.Scale(domain=names),
    }.get(plot["colour"], alt.Scale(domain=names, range=OTHER))
    colour = alt.Color(
        "line:N",
        scale=scale_of_colour,
        legend=alt.Legend(title=None, values=names, symbolType="square") if is_grouped else None,
    )
    base = alt.Chart(rows(table)).encode(y=y, **offset)
    tooltip = [alt.Tooltip("category:N", title=plot["x"])]
    tooltip += [alt.Tooltip("line:N", title=plot["colour"].replace("_", " "))] if is_grouped else []
    tooltip += [alt.Tooltip("value:N", title="mean"), alt.Tooltip("interval:N", title="interval")]
    # Grouped bars of a relative height would lie beside their intervals.
    height_of_bar: dict[str, Any] = {} if is_grouped else {"height": {"band": 0.72}}
    marked: Any = (
        base.mark_bar(opacity=0.8, **height_of_bar)
        if plot["mark"] == "bar"
        else base.mark_point(filled=True, size=60, opacity=1)
    )
    layers: list[Any] = [
        marked.encode(x=x, color=colour, tooltip=tooltip),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(style="interval")
        .encode(x=alt.X("low:Q", title=title_of_y(results, plot)), x2="high:Q"),
        alt.Chart(rows(dots)).mark_point(filled=True, size=10, style="replicate").encode(x="one:Q", y=y, **offset),
        base.mark_text(align="left", dx=7).encode(x="end:Q", text="value:N"),
    ]
    for mark in level:
        row = shown_interval(mark.interval, metric)
        layers.append(alt.Chart(rows([row])).mark_rule(style="reference-line").encode(x="mean:Q"))
    title = (
        {}
        if not plot["panel"]
        else {"title": f"{plot['panel']} {_text(results, plot['panel'], drawn[0].panel)}".capitalize()}
    )
    height = ROW * len(order) * (len(names) if is_grouped else 1) + 10 * len(order)
    return panel(alt.layer(*layers, height=height, description=f"{plot['title']}: {plot['words']}", **title))
