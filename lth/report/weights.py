"""Figures of the weights themselves: how dense each layer stays, and how the surviving weights are distributed."""

from typing import Any

import altair as alt

from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import remaining_axis, rows, spread
from lth.report.study import Distribution, Study
from lth.report.words import remaining

NUM_LEVELS = 5
NUM_LAYERS = 6


def layer_density_figure(study: Study) -> Figure | None:
    """Percent of each layer's weights that remain, by level; None without layers."""
    layers = study.details["layers"]
    if not layers:
        return None
    kept: dict[int, float] = {}
    total: dict[int, float] = {}
    for entry in layers:
        kept[entry["level"]] = kept.get(entry["level"], 0.0) + entry["kept"]
        total[entry["level"]] = total.get(entry["level"], 0.0) + entry["weights"]
    overall = {level: 100 * kept[level] / total[level] for level in total}
    table: list[dict[str, Any]] = [
        {
            "layer": short(entry["layer"]),
            "level": entry["level"],
            "percent": overall[entry["level"]],
            "density": 100 * entry["density"],
            "kept": entry["kept"],
        }
        for entry in layers
        if entry["density"] > 0 and overall[entry["level"]] > 0
    ]
    names = list(dict.fromkeys(short(entry["layer"]) for entry in layers))
    x = remaining_axis([row["percent"] for row in table], "Weights remaining in the whole network (%)")
    y = alt.Y(
        "density:Q",
        title="Weights remaining in the layer (%)",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(labelExpr="format(datum.value, '.3~g')", values=_one_two_five(table)),
    )
    legend = alt.Legend(title="Layer", columns=4 if max(map(len, names)) > 12 else 7)
    color = alt.Color("layer:O", scale=alt.Scale(domain=names), sort=None, legend=legend)
    base = alt.Chart(rows(table)).encode(x=x, y=y, color=color)
    points = base.mark_point(filled=True, size=30, opacity=1).encode(
        tooltip=[
            alt.Tooltip("layer:N"),
            alt.Tooltip("level:Q"),
            alt.Tooltip("density:Q", title="remaining in the layer (%)", format=".3~g"),
            alt.Tooltip("kept:Q", title="weights kept", format=",.0f"),
        ]
    )
    whole = [{"percent": percent, "density": percent} for percent in overall.values() if percent > 0]
    diagonal = alt.Chart(rows(whole)).mark_line(style="reference-line").encode(x=x, y=y)
    empty = sum(entry["density"] <= 0 for entry in layers)
    gone = " Levels at which a layer is empty have no point." if empty else ""
    caption = (
        "Weights that remain in each layer against those that remain in the whole network, both logarithmic; colours "
        "run from the first layer to the last. Dotted: the whole network; a layer above that line is pruned less."
        + gone
    )
    chart = alt.layer(diagonal, base.mark_line(), points, height=320, description="Density of each layer by level")
    entries = tuple((name, name) for name in names)
    return Figure("layer_density", "Density per layer", caption, (panel(chart),), (Key("color", "Layer", entries),))


def distribution_figure(study: Study) -> Figure | None:
    """Distributions of trained surviving weights, a panel a layer and a colour a level; None without distributions."""
    entries = study.details["distributions"]
    if not entries:
        return None
    names = list(dict.fromkeys(entry["layer"] for entry in entries))
    chosen = [names[index] for index in spread(range(len(names)), NUM_LAYERS)]
    levels = spread((entry["level"] for entry in entries), NUM_LEVELS, study.results["verdict"].get("level"))
    shown = sorted((entry for entry in entries if entry["level"] in levels), key=lambda entry: entry["level"])
    labels = list(dict.fromkeys(remaining(entry["density"]) for entry in shown))
    panels = [_distribution_panel([each for each in shown if each["layer"] == name], labels) for name in chosen]
    left_out = f" {len(chosen)} of {len(names)} layers, evenly spread." if len(chosen) < len(names) else ""
    caption = (
        "Probability density of the surviving weights after training, at the percentages of weights remaining in the "
        f"key (of the whole network). Grey area: all weights of the layer before training.{left_out}"
    )
    key = Key("color", "Weights remaining", tuple((label, f"{label} %") for label in labels))
    return Figure("weight_distributions", "Surviving weights", caption, tuple(panels), (key,))


def _one_two_five(table: list[dict[str, Any]]) -> list[float]:
    """Ticks 100, 50, 20, 10, ... down to the lowest density."""
    least = min((row["density"] for row in table), default=100.0)
    ticks = (digit * 10.0**power for power in range(2, -10, -1) for digit in (5, 2, 1))
    return [tick for tick in ticks if least <= tick <= 100]


def short(layer: str) -> str:
    """A layer's name without the parameter's: 'hidden1.weight' -> 'hidden1'."""
    return layer.removesuffix(".weight")


def _distribution_panel(entries: list[Distribution], labels: list[str]) -> Spec:
    """One layer: the initial distribution as an area, and a line a level."""
    x = alt.X("weight:Q", title="Weight", axis=alt.Axis(tickCount=5), scale=alt.Scale(nice=False))
    y = alt.Y("density:Q", title="Probability density", axis=alt.Axis(tickCount=4), scale=alt.Scale(nice=4))
    initial = alt.Chart(rows(_histogram_rows(entries[0], "initial"))).mark_area(style="reference-area").encode(x=x, y=y)
    color = alt.Color(
        "remaining:O", scale=alt.Scale(domain=labels), sort=None, legend=alt.Legend(title="Weights remaining (%)")
    )
    table = [row for entry in entries for row in _histogram_rows(entry, "final")]
    base = alt.Chart(rows(table)).encode(x=x, y=y, color=color)
    pointed = base.mark_line(strokeWidth=9, opacity=0)
    final = alt.layer(
        base.mark_line(strokeWidth=1.7),
        pointed.encode(tooltip=alt.Tooltip("remaining:N", title="weights remaining (%)")),
    )
    title = short(entries[0]["layer"])
    return panel(alt.layer(initial, final, title=title, height=220, description=f"Distribution of weights of {title}"))


def _histogram_rows(entry: Distribution, which: str) -> list[dict[str, Any]]:
    """One row a bin, at its centre."""
    heights = entry["initial"] if which == "initial" else entry["final"]
    label = remaining(entry["density"])
    return [
        {"weight": (low + high) / 2, "density": height, "remaining": label}
        for low, high, height in zip(entry["edges"], entry["edges"][1:], heights, strict=False)
        if height is not None
    ]
