"""The figure of how the surviving weights are distributed."""

from collections.abc import Mapping, Sequence

import altair as alt

from lth.analysis.documents import Distribution
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import DataRow, rows, spread
from lth.report.marks import colour_domain
from lth.report.places import Axis, axis_of, main_axis
from lth.report.study import StudyFiles
from lth.report.weights import arms_beside, place_key, short

NUM_PLACES = 5
NUM_LAYERS = 6


def distribution_figure(study: StudyFiles) -> Figure | None:
    """Return distributions of trained surviving weights, a panel per layer and a colour per place; None without any.

    Where several arms stand at one place it is that of the verdict, else the last one, and a colour per arm.
    """
    entries = study.details["distributions"]
    if not entries:
        return None
    if arms_beside(entries):
        return _distributions_by_arm(study, entries)
    axis = main_axis(study.results, (entry["at"] for entry in entries))
    if axis is not None:
        numbers = [value for entry in entries if isinstance(value := entry["at"].get(axis.name), int | float)]
        wanted = study.results["verdict"]["at"].get(axis.name)
        kept = spread(numbers, NUM_PLACES, wanted if isinstance(wanted, int | float) else None)
        entries = [entry for entry in entries if entry["at"].get(axis.name) in kept or not numbers]
        entries = sorted(entries, key=lambda entry: _order(entry, axis))
    title = axis.title if axis else "At the end"
    return _distributions([(entry, _label(entry, axis)) for entry in entries], title, axis.unit if axis else "")


def _distributions_by_arm(study: StudyFiles, entries: list[Distribution]) -> Figure:
    """Return the distributions of each arm at one place; the grey area is of the first entry, the densest place."""
    wanted = study.results["verdict"]["at"]
    here = [entry for entry in entries if wanted and wanted.items() <= entry["at"].items()]
    last = (here or entries)[-1]
    shown = [entry for entry in entries if place_key(entry) == place_key(last)]
    words = ", ".join(f"{name} {axis_of(study.results, name).shown(value)}" for name, value in last["at"].items())
    starts = {entry["layer"]: entry for entry in reversed(entries)}
    labelled = [(entry, entry.get("arm", "")) for entry in shown]
    legend = alt.Legend(title=None, values=list(dict.fromkeys(label for _, label in labelled)))
    colour = alt.Color("place:N", scale=alt.Scale(domain=colour_domain(study.results)), legend=legend)
    return _distributions(labelled, "", "", colour, starts, f" At {words}." if words else "")


def _distributions(
    labelled: Sequence[tuple[Distribution, str]],
    title: str,
    unit: str,
    colour: alt.Color | None = None,
    starts: Mapping[str, Distribution] | None = None,
    where: str = "",
) -> Figure:
    """Return a panel for each of some layers, and a line per label.

    Args:
        labelled: entries, each with what its colour stands for.
        title: of the legend.
        unit: behind its labels.
        colour: of the labels; by default they have an order.
        starts: whose start is the grey area of each layer; by default that of the first entry.
        where: a sentence for the caption.
    """
    names = list(dict.fromkeys(entry["layer"] for entry, _ in labelled))
    chosen = [names[index] for index in spread(range(len(names)), NUM_LAYERS)]
    labels = list(dict.fromkeys(label for _, label in labelled))
    scale = alt.Scale(domain=labels)
    colour = colour or alt.Color("place:O", scale=scale, sort=None, legend=alt.Legend(title=title))
    panels = []
    for name in chosen:
        some = [(entry, label) for entry, label in labelled if entry["layer"] == name]
        panels.append(_distribution_panel(some, (starts or {}).get(name, some[0][0]), colour, title))
    left_out = f" {len(chosen)} of {len(names)} layers, evenly spread." if len(chosen) < len(names) else ""
    caption = (
        f"Probability density of the surviving weights at the end of training.{where} Grey area: all weights of the "
        f"layer at its start.{left_out}"
    )
    key = Key("color", title.removesuffix(" (%)"), tuple((label, f"{label}{unit}") for label in labels))
    return Figure("weight_distributions", "Surviving weights", caption, tuple(panels), (key,))


def _order(entry: Distribution, axis: Axis) -> tuple[float, str]:
    """Sort densities falling, other numbers rising."""
    value = entry["at"].get(axis.name)
    number = value if isinstance(value, int | float) else 0.0
    return (-number if axis.name == "density" else number), str(value)


def _label(entry: Distribution, axis: Axis | None) -> str:
    return axis.text(entry["at"].get(axis.name)) if axis else "trained"


def _distribution_panel(
    labelled: Sequence[tuple[Distribution, str]], before: Distribution, color: alt.Color, title: str
) -> Spec:
    """Return one layer: the distribution at the start as an area, and a line per label."""
    x = alt.X("weight:Q", title="Weight", axis=alt.Axis(tickCount=5), scale=alt.Scale(nice=False))
    y = alt.Y("density:Q", title="Probability density", axis=alt.Axis(tickCount=4), scale=alt.Scale(nice=4))
    start = alt.Chart(rows(_bins(before, before["start"], ""))).mark_area(style="reference-area").encode(x=x, y=y)
    table = [row for entry, label in labelled for row in _bins(entry, entry["end"], label)]
    base = alt.Chart(rows(table)).encode(x=x, y=y, color=color)
    pointed = base.mark_line(strokeWidth=9, opacity=0)
    end = alt.layer(
        base.mark_line(strokeWidth=1.7), pointed.encode(tooltip=alt.Tooltip("place:N", title=title or "arm"))
    )
    name = short(before["layer"])
    return panel(alt.layer(start, end, title=name, height=220, description=f"Distribution of weights of {name}"))


def _bins(entry: Distribution, heights: list[float | None], label: str) -> list[DataRow]:
    """Return one row per bin, at its centre."""
    return [
        {"weight": (low + high) / 2, "density": height, "place": label}
        for low, high, height in zip(entry["edges"], entry["edges"][1:], heights, strict=False)
        if height is not None
    ]
