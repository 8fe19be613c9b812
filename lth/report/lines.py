"""Figures with a numeric x axis: a line and a band over replicates for each colour.

Source: the design is that of Figures 1 and 4 of Frankle and Carbin 2019, arXiv:1803.03635.
"""

import json
from collections.abc import Sequence
from statistics import median
from typing import Any

import altair as alt

from lth.analysis.documents import PlotDocument, Results
from lth.analysis.numbers import scale
from lth.analysis.reading import Measure, arms_of
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import (
    MEASURED,
    DataRow,
    Domain,
    cropped,
    falling_axis,
    frame,
    full_frame,
    rows,
    spread,
    step_frame,
)
from lth.report.marks import (
    Mark,
    colour_domain,
    drawn_ends,
    is_few,
    marks,
    metric_of_plot,
    shown_interval,
    title_of_y,
)
from lth.report.places import PERCENT, Axis, axis_of
from lth.report.replicates import replicate_layers, replicate_rows, replicate_rules
from lth.report.study import StudyFiles
from lth.report.theme import OTHER
from lth.report.words import over_replicates

NUM_COLOURS = 8
CUT = " Values outside the frame are cut off, with a triangle where a line leaves it; the result files have them."
BANDS = " Bands around what the study is about alone; all intervals are in the table."
DASHES = ([1, 0], [7, 4], [2, 3], [12, 3], [9, 3, 2, 3])


def line_figure(study: StudyFiles, plot: PlotDocument) -> Figure | None:
    """Return the figure of a plot with a numeric x axis; None without values."""
    results = study.results
    drawable = marks(study, plot)
    baselines = {arm["name"] for arm in arms_of(results, "baseline")}
    level = [mark for mark in drawable if mark.arm in baselines and not has_line(drawable, mark)]
    drawn, left_out = _chosen([mark for mark in drawable if mark not in level], plot, results)
    if not drawn and not level:
        return None
    by_arm = plot["colour"] == "arm"
    lines = from_baseline(drawn, level) if by_arm else drawn
    metric, axis = metric_of_plot(results, plot), axis_of(results, plot["x"], plot["x_words"])
    domain, is_cut = line_domain(results, metric, lines or level, level)
    values = list(dict.fromkeys(mark.panel for mark in drawn)) if plot["panel"] else [None]
    values = sorted(values, key=lambda value: (isinstance(value, str), value or 0)) or [None]
    colours = colour_domain(results) if by_arm else _labels(drawn, plot, results)
    dashes = [] if by_arm else [name for name in colour_domain(results) if any(mark.arm == name for mark in drawn)]
    dashes = dashes if len(dashes) > 1 and plot["panel"] != "arm" else []
    draw = _Drawing(results, plot, axis, metric, domain, colours, dashes, 260 if len(values) > 1 else 340)
    panels = [
        draw.panel(
            [mark for mark in lines if mark.panel == value],
            [mark for mark in level if mark.panel in (value, None)],
            "" if value is None else _panel_title(results, plot, value),
        )
        for value in values
    ]
    own = any(mark.x is not None for mark in level) and by_arm and lines != drawn
    starts = " All lines start at the baseline." if own else ""
    banded = [str(mark.colour) for mark in lines if shown_interval(mark.interval, metric)["low"] is not None]
    bands = BANDS if plot["mark"] != "point" and is_crowded(results, plot, list(dict.fromkeys(banded))) else ""
    caption = f"{plot['words']} {over_replicates(results)}{bands}{starts}{CUT if is_cut else ''}{left_out}"
    return Figure(plot["name"], plot["title"], caption, tuple(panels), draw.keys(drawn, level))


MOST_BANDS = 4
"""Bands that can lie over each other; of more arms, those that the study is about have one."""


def is_crowded(results: Results, plot: PlotDocument, names: Sequence[str]) -> bool:
    """Return whether only subjects have a band, as many arms would have one otherwise."""
    subjects = {arm["name"] for arm in arms_of(results, "subject")}
    return plot["colour"] == "arm" and len(names) > MOST_BANDS and bool(subjects & {*names})


BESIDE = 14
"""Pixels between lines that have one place, the same, on the x axis."""


def has_line(some: Sequence[Mark], mark: Mark) -> bool:
    """Return whether a mark's arm has places of its own along x, in its panel."""
    own = {each.x for each in some if each.arm == mark.arm and each.panel == mark.panel}
    return len(own - {None}) > 1


def _chosen(some: list[Mark], plot: PlotDocument, results: Results) -> tuple[list[Mark], str]:
    """Return the marks with an x, of some evenly spread colours where numbers tell too many apart."""
    some = [mark for mark in some if isinstance(mark.x, int | float) and (mark.x > 0 or not plot["log_x"])]
    numbers = [mark.colour for mark in some if isinstance(mark.colour, int | float)]
    wanted = results["verdict"]["at"].get(plot["colour"])
    kept = spread(numbers, NUM_COLOURS, wanted if isinstance(wanted, int | float) else None)
    left_out = f" {len(kept)} of {len(set(numbers))}, evenly spread." if len(kept) < len(set(numbers)) else ""
    return [mark for mark in some if not isinstance(mark.colour, int | float) or mark.colour in kept], left_out


def from_baseline(drawn: list[Mark], level: list[Mark]) -> list[Mark]:
    """Return the marks, each line with the baseline's one point before its own, where that lies outside them."""
    rows = []
    for arm, panel_of_line in dict.fromkeys((mark.arm, mark.panel) for mark in drawn):
        line = [mark for mark in drawn if (mark.arm, mark.panel) == (arm, panel_of_line)]
        xs = [mark.x for mark in line if isinstance(mark.x, int | float)]
        start = [
            Mark(mark.x, arm, panel_of_line, mark.arm, mark.place, mark.interval)
            for mark in level
            if isinstance(mark.x, int | float)
            and not min(xs) <= mark.x <= max(xs)
            and mark.panel in (panel_of_line, None)
        ]
        rows += [*start, *line]
    return rows


def line_domain(results: Results, metric: Measure, lines: Sequence[Mark], level: Sequence[Mark]) -> tuple[Domain, bool]:
    """Return the range of the y axis for lines and a level, and whether some means lie outside it."""
    factor = scale(metric)
    means = [mark.interval["mean"] for mark in [*lines, *level] if mark.interval["mean"] is not None]
    ends = [end * factor for mark in lines for end in drawn_ends(mark.interval, metric) if end is not None]
    if metric.unit == "steps":
        return step_frame(means, ends), False
    subjects = {arm["name"] for arm in arms_of(results, "subject")}
    in_focus = [mark for mark in lines if mark.colour in subjects or mark.arm in subjects] or list(lines)
    others = [mark for mark in lines if mark not in in_focus]
    halves = [
        (high - low) / 2 * factor
        for low, high in (drawn_ends(mark.interval, metric) for mark in in_focus)
        if low is not None and high is not None
    ]
    reference = next((mark.interval["mean"] for mark in level), None)
    if reference is None:  # nothing says which differences matter
        return full_frame(metric, [mean * factor for mean in means] + ends), False
    return frame(
        metric,
        None if reference is None else reference * factor,
        [(mark.interval["mean"] or 0.0) * factor for mark in in_focus],
        [(mark.interval["mean"] or 0.0) * factor for mark in others],
        ends,
        median(halves) if halves else 0.0,
    )


def arrowheads(base: alt.Chart, y: alt.Y, table: Sequence[DataRow]) -> list[Any]:
    """Return a triangle at each place where a line leaves the frame, pointing out of it with its tip on the edge."""
    crossed = {row.get("crosses") for row in table}
    return [
        base.transform_filter(alt.datum.crosses == edge)
        .mark_point(filled=True, size=100, opacity=1, shape=shape, yOffset=offset)
        .encode(y=y)
        for edge, shape, offset in (("low", "triangle-down", -5), ("high", "triangle-up", 5))
        if edge in crossed
    ]


def _labels(drawn: Sequence[Mark], plot: PlotDocument, results: Results) -> list[str]:
    """Return the values that colours tell apart, as text; densities from the densest on, other numbers by size."""
    values = list(dict.fromkeys(mark.colour for mark in drawn))
    if all(isinstance(value, int | float) for value in values):
        values = sorted(values, reverse=plot["colour"] == "density")  # type: ignore[type-var]
    return [axis_of(results, plot["colour"]).text(value) for value in values]


def _panel_title(results: Results, plot: PlotDocument, value: Any) -> str:
    if plot["panel"] == "arm":
        return str(value)
    return f"{plot['panel'].replace('_', ' ')} {axis_of(results, plot['panel']).shown(value)}".capitalize()


def side_by_side(some: Sequence[Any], table: Sequence[DataRow]) -> list[Any]:
    """Return layers of one place on the x axis, those of each line beside the others."""
    names = list(dict.fromkeys((row["line"], row["arm_of_line"]) for row in table))
    layers = []
    for index, (line, arm) in enumerate(names):
        offset = BESIDE * (index - (len(names) - 1) / 2)
        for layer in some:
            own = layer.transform_filter((alt.datum.line == line) & (alt.datum.arm_of_line == arm)).copy()
            mark = {"type": layer.mark} if isinstance(layer.mark, str) else layer.mark.to_dict()
            own.mark = alt.MarkDef(**mark, xOffset=offset)
            layers.append(own)
    return layers


class _Drawing:
    """What the panels of one figure share."""

    def __init__(
        self,
        results: Results,
        plot: PlotDocument,
        axis: Axis,
        metric: Measure,
        domain: Domain,
        colours: list[str],
        dashes: list[str],
        height: int,
    ) -> None:
        self.results, self.plot, self.axis, self.metric = results, plot, axis, metric
        self.domain, self.colours, self.dashes, self.height = domain, colours, dashes, height
        self.by_arm = plot["colour"] == "arm"
        self.is_ramp = not self.by_arm and all(each.replace(".", "").replace(",", "").isdigit() for each in colours)

    def keys(self, drawn: Sequence[Mark], level: Sequence[Mark]) -> tuple[Key, ...]:
        """Return the key of the colours, and of the dashes where there are several."""
        if self.by_arm:
            present = {mark.arm for mark in [*drawn, *level]}
            shown = [name for name in self.colours if name in present]
            return (Key("color", "", tuple((name, name) for name in shown)),)
        colour = axis_of(self.results, self.plot["colour"])
        entries = tuple((text, f"{text}{colour.unit if self.is_ramp else ''}") for text in self.colours)
        keys = (Key("color", colour.title.removesuffix(" (%)"), entries),)
        return (*keys, Key("strokeDash", "", tuple((arm, arm) for arm in self.dashes))) if self.dashes else keys

    def panel(self, lines: Sequence[Mark], level: Sequence[Mark], title: str) -> Spec:
        """Return one panel: the baseline as a level line, a band and a line for each colour, and points to hover."""
        y_title = title_of_y(self.results, self.plot)
        y = alt.Y(
            "mean:Q",
            title=y_title,
            scale=alt.Scale(domain=list(self.domain), nice=False, zero=False),
            axis=alt.Axis(format=",~f" if self.metric.unit in ("fraction", "steps") else ",.4~g", tickCount=6),
        )
        table = self._table(lines)
        base = alt.Chart(rows(table)).encode(x=self._x(lines, level), color=self._colour())
        marked = base.mark_line()
        if self.dashes:
            marked = marked.encode(strokeDash=self._dash())
        layers: list[Any] = self._level(level)
        is_one = len({row["x"] for row in table}) == 1
        as_lines = self.plot["mark"] != "point" and not is_one
        ones = replicate_layers(
            self._replicates(lines),
            y,
            lines=as_lines,
            always=is_few(self.results),
            x=self._x(lines, level),
            color=self._colour(),
        )
        size = 42 if len(table) < 400 else 14
        points = base.transform_filter(MEASURED).mark_point(filled=True, size=size, opacity=1)
        points = points.encode(y=y, tooltip=self._tooltip())
        bars = base.transform_filter("isValid(datum.low)").mark_rule()
        bars = bars.encode(y=alt.Y("low:Q", title=y_title), y2="high:Q")
        if self.plot["mark"] == "point":
            layers += [bars, *ones, points]
        elif is_one:  # neither a line nor a band would show
            layers += side_by_side([bars, *ones, points], table)
        else:
            bands = base.transform_filter(self._has_band(table)).mark_area(opacity=0.16)
            layers += [
                bands.encode(y=alt.Y("low:Q", title=y_title), y2="high:Q", detail="arm_of_line:N"),
                *ones,
                marked.encode(y=y),
                *arrowheads(base, y, table),
                points,
            ]
        more = {"title": title} if title else {}
        chart = alt.layer(
            *layers, height=self.height, description=f"{self.plot['title']}: {self.plot['words']}", **more
        )
        return panel(chart)

    def _has_band(self, table: Sequence[DataRow]) -> str:
        """Return which rows have a band: all, or those of the subjects where so many lines would hide each other."""
        names = list(dict.fromkeys(row["line"] for row in table if row["low"] is not None))
        if not is_crowded(self.results, self.plot, names):
            return "isValid(datum.low)"
        subjects = [arm["name"] for arm in arms_of(self.results, "subject")]
        return f"isValid(datum.low) && indexof({json.dumps(subjects)}, datum.line) >= 0"

    def _table(self, lines: Sequence[Mark]) -> list[DataRow]:
        """Return rows of all lines, those of the subject last, nothing outside the frame."""
        by_line: dict[tuple[str, str], list[DataRow]] = {}
        for mark in sorted(lines, key=self._depth):
            row = self._row(mark)
            by_line.setdefault((row["line"], row["arm_of_line"]), []).append(row)
        is_log = self.plot["log_x"]
        ordered = (sorted(line, key=lambda row: row["x"], reverse=is_log) for line in by_line.values())
        return [row for line in ordered for row in cropped(line, self.domain, is_log=is_log)]

    def _row(self, mark: Mark) -> DataRow:
        place = {"place": mark.place} if mark.place else {}
        return {**self._line(mark), **shown_interval(mark.interval, self.metric), **place}

    def _line(self, mark: Mark) -> DataRow:
        """Return which line a mark is of, and where it lies on it."""
        assert isinstance(mark.x, int | float)
        text = mark.colour if self.by_arm else axis_of(self.results, self.plot["colour"]).text(mark.colour)
        line = {"line": text, "arm_of_line": mark.colour if self.by_arm else mark.arm, "arm": mark.arm}
        return {**line, "x": mark.x * self.axis.scale}

    def _replicates(self, lines: Sequence[Mark]) -> list[DataRow]:
        marked = [(self._line(mark), mark) for mark in lines]
        return replicate_rows(marked, self.metric, self.domain, is_log=self.plot["log_x"])

    def _depth(self, mark: Mark) -> tuple[int, float]:
        """Sort marks of the subject last, and each line from left to right."""
        name = str(mark.colour) if self.by_arm else mark.arm
        roles = {arm["name"]: arm["role"] for arm in self.results["arms"]}
        return int(roles.get(name) == "subject"), -self.colours.index(name) if name in self.colours else 0

    def _x(self, lines: Sequence[Mark], level: Sequence[Mark]) -> alt.X:
        own = [mark.x * self.axis.scale for mark in [*lines, *level] if isinstance(mark.x, int | float)]
        if self.plot["log_x"]:
            return falling_axis(own or [100.0], "x", self.axis.title, falls=self.axis.name in PERCENT)
        domain = [min(own, default=0.0), max(own, default=1.0)]
        scale_of_x = alt.Scale(domain=domain, nice=False, zero=False)
        low, high = domain
        ticks = alt.Axis(tickCount=6, format=",.9~g")
        if high - low <= 10 and all(float(x).is_integer() for x in own):
            ticks = alt.Axis(values=[*range(int(low), int(high) + 1)], format=",.9~g")
        return alt.X("x:Q", title=self.axis.title, scale=scale_of_x, axis=ticks)

    def _colour(self) -> alt.Color:
        if not self.is_ramp:
            legend, arms = alt.Legend(title=None, values=self.colours), colour_domain(self.results)
            named = {*self.colours} <= {*arms}  # where what is told apart are arms, each keeps its colour
            scale_of_names = alt.Scale(domain=arms) if named else alt.Scale(domain=self.colours, range=OTHER)
            return alt.Color("line:N", scale=scale_of_names, legend=legend)
        title = axis_of(self.results, self.plot["colour"]).title
        scale_of_colour = alt.Scale(domain=self.colours)
        return alt.Color("line:O", scale=scale_of_colour, sort=None, legend=alt.Legend(title=title))

    def _dash(self) -> alt.StrokeDash:
        patterns = [DASHES[index % len(DASHES)] for index in range(len(self.dashes))]
        return alt.StrokeDash(
            "arm:N", scale=alt.Scale(domain=self.dashes, range=patterns), legend=alt.Legend(title=None)
        )

    def _level(self, level: Sequence[Mark]) -> list[Any]:
        """Return the baseline's interval as a band across the frame and its mean as a rule."""
        layers: list[Any] = []
        for mark in level:
            row = {"line": mark.arm, **shown_interval(mark.interval, self.metric)}
            row |= {
                end: None if row[end] is None else min(max(row[end], self.domain[0]), self.domain[1])
                for end in ("low", "high")
            }
            base = alt.Chart(rows([row]))
            base = base.encode(color=self._colour()) if self.by_arm else base
            if row["low"] is not None:
                band = base.mark_rect(opacity=0.16) if self.by_arm else base.mark_rect(style="reference-area")
                layers.append(band.encode(y="low:Q", y2="high:Q"))
            rules = replicate_rules({"line": mark.arm}, mark, self.metric, self.domain)
            layers += [each.encode(color=self._colour()) if self.by_arm else each for each in rules]
            rule = base.mark_rule(strokeWidth=1.6) if self.by_arm else base.mark_rule(style="reference-line")
            layers.append(rule.encode(y="mean:Q"))
        return layers

    def _tooltip(self) -> list[alt.Tooltip]:
        name = [] if self.by_arm else [alt.Tooltip("line:N", title=axis_of(self.results, self.plot["colour"]).title)]
        return [
            alt.Tooltip("arm:N", title="arm"),
            *name,
            alt.Tooltip("x:Q", title=self.axis.title, format=",.3~g" if self.axis.scale == 100 else ",~g"),
            alt.Tooltip("place:N", title="at"),
            alt.Tooltip("value:N", title="mean"),
            alt.Tooltip("interval:N", title="interval"),
        ]
