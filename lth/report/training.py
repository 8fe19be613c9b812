"""The figure of learning: validation accuracy during training, one line a density.

Source: the design is that of Figure 3 of Frankle and Carbin 2019, arXiv:1803.03635.
"""

from typing import Any

import altair as alt

from lth.report.by_level import arms_of
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import accuracy_frame, rows, spread
from lth.report.study import Curve, Study
from lth.report.words import remaining

NUM_LEVELS = 7
NUM_POINTS = 240
PANEL_TITLES = {
    "ticket": "Tickets",
    "sparsified": "Pruned within training",
    "reinit": "Same masks, new weights",
    "random": "Random masks",
}


def training_figure(study: Study) -> Figure | None:
    """Validation accuracy against iteration, a panel an arm and a colour a density; None without curves or arms."""
    arms = arms_of(study.results)
    curves = study.details["curves"]
    levels = spread((curve["level"] for curve in curves), NUM_LEVELS, study.results["verdict"].get("level"))
    shown = [curve for curve in curves if curve["level"] in levels and curve["arm"] in ("dense", *arms)]
    if not shown or not arms:
        return None
    dense = [value for curve in shown if curve["arm"] == "dense" for value in _percents(curve)]
    tickets = [max(_percents(curve), default=None) for curve in shown if curve["arm"] in ("dense", "ticket")]
    controls = [max(_percents(curve), default=None) for curve in shown if curve["arm"] not in ("dense", "ticket")]
    domain, is_cut = accuracy_frame(max(dense, default=None), tickets, controls)
    if not is_cut:  # room for the climb, which starts at chance
        domain = (max(domain[0] - 0.6 * (domain[1] - domain[0]), 0.0), domain[1])
    lowest = min((value for curve in shown for value in _percents(curve)), default=0.0)
    cut = " What lies below the frame, the first climb above all, is cut off." if lowest < domain[0] else ""
    labels = list(dict.fromkeys(remaining(curve["density"]) for curve in sorted(shown, key=lambda each: each["level"])))
    panels = []
    for arm in arms:
        table = [row for curve in shown if curve["arm"] in ("dense", arm) for row in _curve_rows(curve)]
        panels.append(_panel(table, labels, domain, PANEL_TITLES[arm]))
    caption = (
        "Mean validation accuracy during training, at the percentages of weights remaining in the key (100: the dense "
        f"network, in every panel).{cut}"
    )
    entries = tuple((label, f"{label} %") for label in labels)
    return Figure(
        "training_curves", "Learning curves", caption, tuple(panels), (Key("color", "Weights remaining", entries),)
    )


def _percents(curve: Curve) -> list[float]:
    return [100 * value for value in curve["validation_accuracy"] if value is not None]


def _curve_rows(curve: Curve) -> list[dict[str, Any]]:
    """One row an evaluation, at most about NUM_POINTS of them, the last always among them."""
    points = list(zip(curve["iterations"], curve["validation_accuracy"], strict=True))
    step = max(len(points) // NUM_POINTS, 1)
    kept = points[::-1][::step][::-1]
    label = remaining(curve["density"])
    return [
        {"iteration": iteration, "accuracy": 100 * value, "remaining": label}
        for iteration, value in kept
        if value is not None
    ]


def _panel(table: list[dict[str, Any]], labels: list[str], domain: tuple[float, float], title: str) -> Spec:
    """One panel; a wide unseen copy of each line makes it easy to point at."""
    base = alt.Chart(rows(table)).encode(
        x=alt.X("iteration:Q", title="Iteration", axis=alt.Axis(format=",d", tickCount=4)),
        y=alt.Y(
            "accuracy:Q",
            title="Validation accuracy (%)",
            scale=alt.Scale(domain=list(domain), nice=False, zero=False),
            axis=alt.Axis(tickCount=6),
        ),
        color=alt.Color(
            "remaining:O", scale=alt.Scale(domain=labels), sort=None, legend=alt.Legend(title="Weights remaining (%)")
        ),
    )
    chart = alt.layer(
        base.mark_line(clip=True, strokeWidth=1.7),
        base.mark_line(clip=True, strokeWidth=9, opacity=0).encode(
            tooltip=alt.Tooltip("remaining:N", title="weights remaining (%)")
        ),
        title=title,
        height=280,
        description=f"Validation accuracy during training: {title}",
    )
    return panel(chart)
