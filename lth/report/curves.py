"""The figure of learning: a metric during training, one line per place and a panel per arm.

Source: the design is that of Figure 3 of Frankle and Carbin 2019, arXiv:1803.03635.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from lth.analysis.documents import Curve, Results
from lth.analysis.numbers import scale
from lth.analysis.reading import Measure, metric_named
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import DataRow, Domain, cropped, frame, rows, spread
from lth.report.marks import colour_domain
from lth.report.places import Axis, main_axis
from lth.report.replicates import replicate_layers
from lth.report.study import StudyFiles
from lth.report.words import axis_title

NUM_LINES = 7
NUM_POINTS = 240
NUM_OF_EACH = 60


def curve_figure(study: StudyFiles) -> Figure | None:
    """Return the curves of the primary metric on the validation part, or of another that was measured; None without.

    A panel per arm and a colour per place, the baseline in every panel; one panel and a colour per arm where arms have
    no places.
    """
    results, curves = study.results, study.details["curves"]
    name = _measured(results, curves)
    if name is None:
        return None
    metric = _metric(results, name)
    roles = {arm["name"]: arm["role"] for arm in results["arms"]}
    curves = [curve for curve in curves if _values(curve, name, metric) and curve["arm"] in roles]
    arms = [arm for arm in colour_domain(results) if any(curve["arm"] == arm for curve in curves)]
    others = [arm for arm in arms if roles[arm] != "baseline"]
    axis = main_axis(results, (curve["at"] for curve in curves))
    if axis is not None:
        curves = _spread(results, curves, axis)
    best = max if metric.better == "higher" else min
    bests = [(roles[curve["arm"]], best(_values(curve, name, metric))) for curve in curves]
    reference = best((value for role, value in bests if role == "baseline"), default=None)
    focus = [value for role, value in bests if role in ("baseline", "subject")]
    domain, is_cut = frame(
        metric, reference, focus, [value for role, value in bests if role not in ("baseline", "subject")]
    )
    domain = _with_climb(domain, metric, is_cut) if others else _of_one(curves, name, metric)
    beyond = any(not domain[0] <= value <= domain[1] for curve in curves for value in _values(curve, name, metric))
    draw = _Drawing(results, name, metric, domain, axis, _labels(curves, axis) if axis else arms)
    draw.dashed = _changing_baselines(curves, roles) if axis is not None and others else []
    if axis is None or not others:
        panels = [draw.panel(curves, "")]
    else:
        panels = [
            draw.panel([c for c in curves if c["arm"] == arm or roles[c["arm"]] == "baseline"], arm) for arm in others
        ]
    words = f"{axis_title(metric)} during training, a mean over replicates" + (
        ", a panel per arm." if len(panels) > 1 else "."
    )
    has_baseline = axis is not None and len(others) > 0 and len(arms) > len(others)
    dashed = ", dashed" if draw.dashed else ""
    caption = words + (f" The baseline is in every panel{dashed}." if has_baseline and len(panels) > 1 else "")
    caption += " What lies outside the frame, the beginning of training above all, is cut off." if beyond else ""
    return Figure("training_curves", "Learning curves", caption, tuple(panels), (draw.key(),))


def _measured(results: Results, curves: list[Curve]) -> str | None:
    """Return the curve to draw: the primary metric, else that of early stopping, on the validation part if there."""
    names = list(dict.fromkeys(name for curve in curves for name, values in curve["values"].items() if values))
    wanted = [f"validation/{results['primary']}", f"validation/{results['stop_by']}"]
    wanted += [name for name in names if name.startswith("validation/")]
    return next((name for name in [*wanted, *names] if name in names), None)


def _metric(results: Results, name: str) -> Measure:
    part, _, metric = name.partition("/")
    return metric_named(results, metric, part)


def _values(curve: Curve, name: str, metric: Measure) -> list[float]:
    return [scale(metric) * value for value in curve["values"].get(name, []) if value is not None]


def _spread(results: Results, curves: list[Curve], axis: Axis) -> list[Curve]:
    numbers = [value for curve in curves if isinstance(value := curve["at"].get(axis.name), int | float)]
    wanted = results["verdict"]["at"].get(axis.name)
    kept = spread(numbers, NUM_LINES, wanted if isinstance(wanted, int | float) else None)
    return [curve for curve in curves if curve["at"].get(axis.name) in kept or not numbers]


def _changing_baselines(curves: list[Curve], roles: dict[str, str]) -> list[str]:
    """Return the baselines that have a line at several places, in the colours of the other arms' lines."""
    baselines = [curve["arm"] for curve in curves if roles[curve["arm"]] == "baseline"]
    return [arm for arm in dict.fromkeys(baselines) if baselines.count(arm) > 1]


def _labels(curves: list[Curve], axis: Axis) -> list[str]:
    values = list(dict.fromkeys(curve["at"].get(axis.name) for curve in curves))
    if all(isinstance(value, int | float) for value in values):
        values = sorted(values, reverse=axis.name == "density")  # type: ignore[type-var]
    return [axis.text(value) for value in values]


def _with_climb(domain: Domain, metric: Measure, is_cut: bool) -> Domain:
    """Return the range with room on the worse side for the climb, where it is not cut anyway."""
    low, high = domain
    room = 0.6 * (high - low)
    if metric.better != "higher":
        return low, high + room
    if is_cut:
        return domain
    return (max(low - room, 0.0) if metric.unit == "fraction" else low - room), high


def _of_one(curves: list[Curve], name: str, metric: Measure) -> Domain:
    """Return a range for the baseline alone: all values but those of the first quarter."""
    all_values = [_values(curve, name, metric) for curve in curves]
    late = [value for values in all_values for value in values[len(values) // 4 :]]
    room = max(0.06 * (max(late) - min(late)), 0.01 * abs(max(late)), 1e-9)
    return min(late) - room, max(late) + room


class _Drawing:
    """What the panels share."""

    def __init__(
        self, results: Results, name: str, metric: Measure, domain: Domain, axis: Axis | None, labels: list[str]
    ) -> None:
        self.results, self.name, self.metric = results, name, metric
        self.domain, self.axis, self.labels = domain, axis, labels
        self.dashed: list[str] = []

    def key(self) -> Key:
        if self.axis is None:
            return Key("color", "", tuple((label, label) for label in self.labels))
        entries = tuple((label, f"{label}{self.axis.unit}") for label in self.labels)
        return Key("color", self.axis.title.removesuffix(" (%)"), entries)

    def panel(self, curves: list[Curve], title: str) -> Spec:
        """Return one panel; a wide unseen copy of each line makes it easy to point at."""
        table = [row for curve in curves for row in self._rows(curve)]
        if self.axis is None:
            colour = alt.Color(
                "line:N",
                scale=alt.Scale(domain=colour_domain(self.results)),
                legend=alt.Legend(title=None, values=self.labels),
            )
            axis_words = "arm"
        else:
            axis_words = self.axis.title
            colour = alt.Color(
                "line:O", scale=alt.Scale(domain=self.labels), sort=None, legend=alt.Legend(title=axis_words)
            )
        base = alt.Chart(rows(table)).encode(
            x=alt.X("x:Q", title="Step", axis=alt.Axis(format=",d", tickCount=4)),
            y=alt.Y(
                "mean:Q",
                title=axis_title(self.metric),
                scale=alt.Scale(domain=list(self.domain), nice=False, zero=False),
                axis=alt.Axis(tickCount=6, format=",~f" if self.metric.unit == "fraction" else ",.4~g"),
            ),
            color=colour,
            detail="arm:N",
        )
        y = alt.Y("mean:Q", title=axis_title(self.metric))
        ones = [row for curve in curves for row in self._replicates(curve)]
        tooltip = [alt.Tooltip("arm:N"), *([] if self.axis is None else [alt.Tooltip("line:N", title=axis_words)])]
        more = {"title": title} if title else {}
        chart = alt.layer(
            *replicate_layers(ones, y, x="x:Q", color=colour)[:1],
            self._lines(base),
            base.mark_line(strokeWidth=9, opacity=0).encode(tooltip=tooltip),
            height=280,
            description=f"{axis_title(self.metric)} during training: {title}",
            **more,
        )
        return panel(chart)

    def _lines(self, base: alt.Chart) -> Any:
        """Return the lines, with dashes where a baseline has the colours of the others."""
        lines = base.mark_line(strokeWidth=1.7)
        if not self.dashed:
            return lines
        is_dashed = alt.FieldOneOfPredicate(field="arm", oneOf=self.dashed)
        return lines.encode(strokeDash=alt.condition(is_dashed, alt.value([4, 3]), alt.value([1, 0])))

    def _replicates(self, curve: Curve) -> list[DataRow]:
        """Return the rows of each replicate's line, fewer than those of the mean."""
        lines = curve.get("replicates", {}).get(self.name, [])
        return [
            {"x": row["x"], "mean": row["mean"], "line": row["line"], "replicate": f"{curve['arm']} {replicate}"}
            for replicate, values in enumerate(lines)
            for row in self._rows(curve, values, NUM_OF_EACH)
        ]

    def _rows(
        self, curve: Curve, values: Sequence[float | None] | None = None, most: int = NUM_POINTS
    ) -> list[DataRow]:
        """Return one row per evaluation, at most about `most` of them, the last always among them."""
        values = curve["values"].get(self.name, []) if values is None else values
        points = list(zip(curve["steps"], values, strict=False))
        every = max(len(points) // most, 1)
        line = curve["arm"] if self.axis is None else self.axis.text(curve["at"].get(self.axis.name))
        shown = [
            {
                "x": step,
                "mean": scale(self.metric) * value,
                "low": None,
                "high": None,
                "line": line,
                "arm": curve["arm"],
            }
            for step, value in points[::-1][::every][::-1]
            if value is not None
        ]
        return [
            {name: value for name, value in row.items() if name not in ("low", "high")}
            for row in cropped(shown, self.domain, is_log=False)
        ]
