"""The figure: steps a second against density, both on logarithmic axes, each line named where it ends."""

import math
import statistics
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from lth.report.theme import LIGHT, vega_config

LINES = {
    "sparse": ("sparse engine", LIGHT.categories[0]),
    "torch": ("torch engine", LIGHT.categories[1]),
    "best": ("plain PyTorch at its best", LIGHT.categories[3]),
    "usual": ("usual loop", LIGHT.categories[2]),
    "prune": ("torch.nn.utils.prune", LIGHT.categories[4]),
}
"""Name and colour of each line."""

TICKS = [step * 10**power for power in range(7) for step in (1, 2, 5)]

WIDTH, HEIGHT = 560, 380

GAP = 0.055
"""Least distance between the names of two lines, as a share of the height."""


def write_figure(document: dict[str, Any], folder: Path) -> list[Path]:
    """Writes speed.svg and speed.png from the rows of the group `lenet`; the paths, none without such rows."""
    rows = [row for row in document["rows"] if row["group"] == "lenet"]
    if not rows:
        return []
    spec = figure(rows, document["environment"])
    paths = [folder / "speed.svg", folder / "speed.png"]
    paths[0].write_text(vl_convert.vegalite_to_svg(spec))
    paths[1].write_bytes(vl_convert.vegalite_to_png(spec, scale=2))
    return paths


def measured_points(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One point per way and density: the median over turns, the least and the most."""
    turns: dict[tuple[str, float], list[float]] = {}
    for row in rows:
        for side in ("ours", "theirs"):
            turns[row["labels"][side], 100 * row["labels"]["density"]] = row["turns"][side]
    return [
        {"way": way, "density": density, "speed": statistics.median(each), "least": min(each), "most": max(each)}
        for (way, density), each in turns.items()
    ]


def figure(rows: list[dict[str, Any]], environment: dict[str, Any]) -> dict[str, Any]:
    """The Vega-Lite specification, from rows of the group `lenet`."""
    points = measured_points(rows)
    densities = sorted({point["density"] for point in points})
    low, high = _axis_ends(min(point["least"] for point in points), max(point["most"] for point in points))
    ways = list(LINES)
    x = alt.X(
        "density:Q",
        scale=alt.Scale(type="log", reverse=True, domain=[densities[0], densities[-1]], nice=False, padding=8),
        axis=alt.Axis(values=densities, labelExpr="format(datum.value, '.2~r') + ' %'", labelOverlap=False),
        title="weights kept (logarithmic)",
    )
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    y = alt.Y("speed:Q", scale=scale, axis=alt.Axis(values=ticks, format=",d"), title="steps a second (logarithmic)")
    colours = alt.Color("way:N", scale=alt.Scale(domain=ways, range=[LINES[way][1] for way in ways]), legend=None)
    base = alt.Chart(alt.InlineData(values=points)).encode(color=colours)
    spread = base.mark_rule(strokeWidth=5, opacity=0.25).encode(x=x, y=alt.Y("least:Q", scale=scale), y2="most:Q")
    lines = base.mark_line(point=alt.OverlayMarkDef(size=38, filled=True)).encode(x=x, y=y)
    names = alt.Chart(alt.InlineData(values=_names(points, rows, densities[0], low, high))).encode(
        x=x, y=y, color=colours, text="name:N"
    )
    text = names.mark_text(align="left", dx=12, fontSize=12.5, fontWeight=600, clip=False)
    subtitle = [
        f"LeNet-300-100 on {environment['data'].replace('mnist', 'MNIST', 1)}, batches of 60, one thread, "
        f"{environment['cpu']} ({environment['vectors']})",
        "processor time; median over turns, bars from the slowest to the fastest turn",
    ]
    title = alt.TitleParams("Training steps a second by density", subtitle=subtitle)
    chart = alt.layer(spread, lines, text, title=title).properties(width=WIDTH, height=HEIGHT)
    config = vega_config(LIGHT, [LINES[way][1] for way in ways])
    config["title"] |= {
        "fontSize": 16, "subtitleFontSize": 12, "subtitleColor": LIGHT.muted, "subtitlePadding": 6, "offset": 14,
    }  # fmt: skip
    spec: dict[str, Any] = chart.to_dict(validate=False)
    return spec | {"padding": 16, "config": config}


def _names(
    points: list[dict[str, Any]], rows: list[dict[str, Any]], density: float, low: float, high: float
) -> list[dict[str, Any]]:
    """Each line's name where it ends, at the lowest density; pushed up where it would touch the one below."""
    ends = {point["way"]: point["speed"] for point in points if point["density"] == density}
    words = {way: LINES[way][0] for way in ends}
    for row in rows:
        labels = row["labels"]
        if (labels["ours"], labels["theirs"], 100 * labels["density"]) == ("sparse", "usual", density):
            words["sparse"] += f", {row['ratio']:.0f}x the usual loop"
    span = math.log(high / low)
    names, floor = [], -math.inf
    for way in sorted(ends, key=ends.__getitem__):
        place = max(math.log(ends[way] / low) / span, floor)
        floor = place + GAP
        names.append({"way": way, "name": words[way], "density": density, "speed": low * math.exp(place * span)})
    return names


def _axis_ends(least: float, most: float) -> tuple[float, float]:
    return max(tick for tick in TICKS if tick <= least), min(tick for tick in TICKS if tick >= most)
