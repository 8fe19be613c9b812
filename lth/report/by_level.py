"""Figures of one measure against the weights that remain, one line an arm.

Source: the design is that of Figures 1 and 4 of Frankle and Carbin 2019, arXiv:1803.03635.
"""

from statistics import median
from typing import Any, Literal

import altair as alt

from lth.report.figure import Figure, Key, panel
from lth.report.frames import accuracy_frame, remaining_axis, rows
from lth.report.study import ARMS, ArmName, Interval, Results, Study
from lth.report.words import over_replicates

Measure = Literal["test_accuracy", "early_stop_test_accuracy", "early_stop_iteration"]

ARM_WORDS = {
    "dense": "the whole network",
    "ticket": "the pruned network from its own starting weights",
    "sparsified": "the training that was pruned on its way and gave the mask",
    "reinit": "the same mask with new initial weights",
    "random": "a random mask with the same density in every layer",
}
WHOLE_ARM_WORDS = {
    "dense": "the network as first drawn",
    "ticket": "the whole network, its lowest weights redrawn or zeroed and trained on",
    "reinit": "a network from a new draw, the same weights redrawn or zeroed",
    "random": "the network with random weights redrawn or zeroed",
}
"""What the arms are where pruned weights train on."""

FIGURES: list[tuple[str, Measure, str, str, str]] = [  # name, measure, title, title of the y axis, what it says
    (
        "accuracy",
        "test_accuracy",
        "Test accuracy",
        "Test accuracy (%)",
        "Test accuracy at the end of training against the percentage of weights that remain.",
    ),
    (
        "early_stopping",
        "early_stop_iteration",
        "Speed of learning",
        "Early-stopping iteration",
        "The iteration of the lowest validation loss, at which training would be stopped; lower is faster.",
    ),
    (
        "early_stop_accuracy",
        "early_stop_test_accuracy",
        "Test accuracy at early stopping",
        "Test accuracy (%)",
        "Test accuracy at the iteration of the lowest validation loss.",
    ),
]
HEIGHT = 340


def level_figures(study: Study) -> list[Figure]:
    """Test accuracy at the end of training, early-stopping iteration, and test accuracy at that iteration."""
    return [_figure(study.results, *row) for row in FIGURES]


def trains_pruned(results: Results) -> bool:
    """Whether pruned weights train on in this study, so that its networks are whole."""
    return results["config"].get("pruned") in ("reinit", "soft")


def arms_of(results: Results) -> list[ArmName]:
    """The arms that the study trained, in the order of every legend."""
    return [arm for arm in ARMS if any(arm in level["arms"] for level in results["levels"])]


def measure_rows(results: Results, measure: Measure, arm: ArmName) -> list[dict[str, Any]]:
    """One row a level for one arm, from the dense network on; levels where every replicate diverged are left out.

    Accuracies come in percent. An arm shares its first point, the whole network, with all others.
    """
    scale = 1 if measure == "early_stop_iteration" else 100
    entries = [(0, results["dense"]["density"], results["dense"][measure])]
    entries += [
        (level["level"], level["density"], level["arms"][arm][measure])
        for level in results["levels"]
        if arm in level["arms"]
    ]
    return [
        {
            "arm": arm if level else "dense",
            "line": arm,
            "level": level,
            "percent": 100 * density,
            **{end: _scaled(interval[end], scale) for end in ("mean", "low", "high")},
        }
        for level, density, interval in entries
        if interval["mean"] is not None
    ]


def _scaled(value: float | None, scale: int) -> float | None:
    return None if value is None else value * scale


def measure_domain(table: list[dict[str, Any]], dense: Interval | None, measure: Measure) -> tuple[list[float], bool]:
    """The y axis for these rows, and whether it cuts some of their means."""
    ends = [row[end] for row in table for end in ("low", "high")]
    if measure == "early_stop_iteration":
        highest = max((row["mean"] for row in table), default=1.0)
        return [0.0, 1.08 * max([highest, *(end for end in ends if end is not None and end < 1.3 * highest)])], False
    reference = _scaled(dense["mean"], 100) if dense else None
    domain, is_cut = accuracy_frame(
        reference,
        [row["mean"] for row in table if row["line"] == "ticket"],
        [row["mean"] for row in table if row["line"] != "ticket"],
        ends,
        _noise(table),
    )
    return list(domain), is_cut


def _noise(table: list[dict[str, Any]]) -> float:
    """The median half-width of the tickets' intervals; 0 without intervals."""
    ends = [(row["low"], row["high"]) for row in table if row["line"] == "ticket" and row["low"] is not None]
    return median((high - low) / 2 for low, high in ends) if ends else 0.0


def measure_tooltip(measure: Measure) -> list[alt.Tooltip]:
    """What a point tells of itself."""
    form = ",.0f" if measure == "early_stop_iteration" else ".2f"
    return [
        alt.Tooltip("arm:N", title="arm"),
        alt.Tooltip("level:Q", title="level"),
        alt.Tooltip("percent:Q", title="weights remaining (%)", format=".3~g"),
        alt.Tooltip("mean:Q", title="mean", format=form),
        alt.Tooltip("low:Q", title="interval from", format=form),
        alt.Tooltip("high:Q", title="interval to", format=form),
    ]


def _figure(results: Results, name: str, measure: Measure, title: str, axis: str, says: str) -> Figure:
    """One figure: a band and a line per arm, and the dense network as a level line through all densities."""
    arms = arms_of(results)
    table = [row for arm in reversed(arms) for row in measure_rows(results, measure, arm)]  # the ticket is drawn last
    dense = results["dense"][measure]
    domain, is_cut = measure_domain(table, dense, measure)
    legend = alt.Legend(title=None, values=[*arms, "dense"])
    color = alt.Color("line:N", scale=alt.Scale(domain=[*ARMS, "dense"]), legend=legend)
    y = alt.Y(
        "mean:Q",
        title=axis,
        scale=alt.Scale(domain=domain, nice=False, zero=False),
        axis=alt.Axis(format=",~f", tickCount=6),
    )
    title_of_x = "Weights not redrawn or zeroed (%)" if trains_pruned(results) else "Weights remaining (%)"
    x = remaining_axis([row["percent"] for row in table] or [100.0], title_of_x)
    base = alt.Chart(rows(table)).encode(x=x, color=color)
    layers = [
        *_dense_layers(dense, 1 if measure == "early_stop_iteration" else 100),
        base.transform_filter("isValid(datum.low)")
        .mark_area(opacity=0.16, clip=True)
        .encode(y=alt.Y("low:Q", title=axis), y2="high:Q"),
        base.mark_line(clip=True).encode(y=y),
        base.transform_filter(alt.datum.mean >= domain[0])  # clipping single points would take a PNG far longer
        .mark_point(filled=True, size=42, opacity=1)
        .encode(y=y, tooltip=measure_tooltip(measure)),
    ]
    cut = " Values below the frame are cut off; the result files have them." if is_cut else ""
    caption = f"{says} {over_replicates(results)} All lines start at the dense network.{cut}"
    chart = alt.layer(*layers, height=HEIGHT, description=f"{title}: {says}")
    return Figure(
        name, title, caption, (panel(chart),), (Key("color", "", tuple((arm, arm) for arm in [*arms, "dense"])),)
    )


def _dense_layers(dense: Interval, scale: int) -> list[alt.Chart]:
    """The dense network's interval as a band across the frame and its mean as a rule; nothing if it diverged."""
    if dense["mean"] is None:
        return []
    row = {"line": "dense", **{end: _scaled(dense[end], scale) for end in ("mean", "low", "high")}}
    base = alt.Chart(rows([row])).encode(color="line:N")
    rule = base.mark_rule(strokeWidth=1.6).encode(y="mean:Q")
    if dense["low"] is None or dense["high"] is None:
        return [rule]
    return [base.mark_rect(opacity=0.16, clip=True).encode(y="low:Q", y2="high:Q"), rule]
