"""Figures of the weights themselves: how dense each layer stays, and how the surviving weights are distributed."""

import altair as alt

from lth.analysis.documents import Distribution, LayerDensity
from lth.report.bars import bar_figure
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import DataRow, falling_axis, rows, spread
from lth.report.places import Axis, axis_of, main_axis
from lth.report.replicates import replicate_layers
from lth.report.study import StudyFiles

NUM_PLACES = 5
NUM_LAYERS = 6


def layer_density_figure(study: StudyFiles) -> Figure | None:
    """Return the percentage of each layer's weights that remain, by place; None where nothing is pruned.

    With places of one density only it is a list of layers.
    """
    layers = study.details["layers"]
    if all(entry["density"] == 1 for entry in layers):
        return None
    overall = _overall(layers)
    if len(set(overall.values())) < 2:
        return _layer_list(study)
    names = list(dict.fromkeys(short(entry["layer"]) for entry in layers))
    title = axis_of(study.results, "density").title
    chart = _density_chart(_density_rows(study, overall), _replicates(layers, overall), overall, names, title)
    gone = " Where a layer is empty it has no point." if any(entry["density"] <= 0 for entry in layers) else ""
    caption = (
        "Weights that remain in each layer against those that remain in the whole network, both logarithmic; colours "
        f"run from the first layer to the last. Dotted: the whole network; a layer above that is pruned less.{gone}"
    )
    entries = tuple((name, name) for name in names)
    return Figure("layer_density", "Density per layer", caption, (chart,), (Key("color", "Layer", entries),))


def _overall(layers: list[LayerDensity]) -> dict[str, float]:
    """Return the percentage of all layers' weights that remain at each place."""
    kept: dict[str, float] = {}
    total: dict[str, float] = {}
    for entry in layers:
        key = _key(entry)
        kept[key] = kept.get(key, 0.0) + entry["kept"]
        total[key] = total.get(key, 0.0) + entry["weights"]
    return {key: 100 * kept[key] / total[key] for key in total}


def _density_rows(study: StudyFiles, overall: dict[str, float]) -> list[DataRow]:
    """Return a row per layer and place, in percent; a logarithmic axis has no room for empty layers."""
    return [
        {
            "layer": short(entry["layer"]),
            "place": ", ".join(
                f"{name} {axis_of(study.results, name).shown(value)}" for name, value in entry["at"].items()
            ),
            "percent": overall[_key(entry)],
            "density": 100 * entry["density"],
            "kept": entry["kept"],
        }
        for entry in study.details["layers"]
        if entry["density"] > 0 and overall[_key(entry)] > 0
    ]


def _replicates(layers: list[LayerDensity], overall: dict[str, float]) -> list[DataRow]:
    """Return a row for each layer, place and replicate in which some of the layer is left."""
    return [
        {"layer": short(entry["layer"]), "percent": overall[_key(entry)], "density": 100 * density}
        for entry in layers
        for density in entry.get("replicates", [])
        if density > 0
    ]


def _density_chart(
    table: list[DataRow], ones: list[DataRow], overall: dict[str, float], names: list[str], title: str
) -> Spec:
    """Return a line per layer, and the whole network's as the diagonal."""
    title = title.removesuffix(" (%)")
    x = falling_axis([row["percent"] for row in table], "percent", f"{title} in the whole network (%)")
    y = alt.Y(
        "density:Q",
        title=f"{title} in the layer (%)",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(labelExpr="format(datum.value, '.3~g')", values=_one_two_five(table)),
    )
    legend = alt.Legend(title="Layer", columns=4 if max(map(len, names)) > 12 else 7)
    color = alt.Color("layer:O", scale=alt.Scale(domain=names), sort=None, legend=legend)
    base = alt.Chart(rows(table)).encode(x=x, y=y, color=color)
    points = base.mark_point(filled=True, size=30, opacity=1).encode(
        tooltip=[
            alt.Tooltip("layer:N"),
            alt.Tooltip("place:N", title="at"),
            alt.Tooltip("density:Q", title="remaining in the layer (%)", format=".3~g"),
            alt.Tooltip("kept:Q", title="weights kept", format=",.0f"),
        ]
    )
    both = [{"percent": percent, "density": percent} for percent in overall.values() if percent > 0]
    diagonal = alt.Chart(rows(both)).mark_line(style="reference-line").encode(x=x, y=y)
    each = replicate_layers(ones, y, lines=False, value="density", x=x, color=color)
    return panel(alt.layer(diagonal, base.mark_line(), *each, points, height=320, description="Density of each layer"))


def _layer_list(study: StudyFiles) -> Figure | None:
    """Return a bar per layer, for studies of one density."""
    table = [
        {"layer": short(entry["layer"]), "density": density, "replicate": replicate}
        for entry in study.details["layers"]
        for replicate, density in enumerate(entry.get("replicates", [entry["density"]]))
    ]
    tables = {"layers": table}
    return bar_figure(
        StudyFiles(
            {**study.results, "metrics": {"density": {"better": "higher", "unit": "fraction", "words": ""}}},
            {**study.details, "tables": tables},
        ),
        {
            "name": "layer_density",
            "title": "Density per layer",
            "words": "Weights that remain in each layer.",
            "x": "layer",
            "y": "density",
            "x_words": "",
            "y_words": axis_of(study.results, "density").title,
            "log_x": False,
            "colour": "layer",
            "panel": "",
            "table": "layers",
            "mark": "bar",
        },
    )


def distribution_figure(study: StudyFiles) -> Figure | None:
    """Return distributions of trained surviving weights, a panel per layer and a colour per place; None without any."""
    entries = study.details["distributions"]
    axis = main_axis(study.results, (entry["at"] for entry in entries))
    if not entries:
        return None
    names = list(dict.fromkeys(entry["layer"] for entry in entries))
    chosen = [names[index] for index in spread(range(len(names)), NUM_LAYERS)]
    if axis is not None:
        numbers = [value for entry in entries if isinstance(value := entry["at"].get(axis.name), int | float)]
        wanted = study.results["verdict"]["at"].get(axis.name)
        kept = spread(numbers, NUM_PLACES, wanted if isinstance(wanted, int | float) else None)
        entries = [entry for entry in entries if entry["at"].get(axis.name) in kept or not numbers]
        entries = sorted(entries, key=lambda entry: _order(entry, axis))
    labels = list(dict.fromkeys(_label(entry, axis) for entry in entries))
    title = axis.title if axis else "At the end"
    panels = [
        _distribution_panel([each for each in entries if each["layer"] == name], labels, title, axis) for name in chosen
    ]
    left_out = f" {len(chosen)} of {len(names)} layers, evenly spread." if len(chosen) < len(names) else ""
    caption = (
        "Probability density of the surviving weights at the end of training. Grey area: all weights of the layer at "
        f"its start.{left_out}"
    )
    unit = axis.unit if axis else ""
    key = Key("color", title.removesuffix(" (%)"), tuple((label, f"{label}{unit}") for label in labels))
    return Figure("weight_distributions", "Surviving weights", caption, tuple(panels), (key,))


def _key(entry: LayerDensity) -> str:
    return repr(sorted(entry["at"].items()))


def _order(entry: Distribution, axis: Axis) -> tuple[float, str]:
    """Sort densities falling, other numbers rising."""
    value = entry["at"].get(axis.name)
    number = value if isinstance(value, int | float) else 0.0
    return (-number if axis.name == "density" else number), str(value)


def _label(entry: Distribution, axis: Axis | None) -> str:
    return axis.text(entry["at"].get(axis.name)) if axis else "trained"


def _one_two_five(table: list[DataRow]) -> list[float]:
    """Return ticks 100, 50, 20, 10, ... down to the lowest density."""
    least = min((row["density"] for row in table), default=100.0)
    ticks = (digit * 10.0**power for power in range(2, -10, -1) for digit in (5, 2, 1))
    return [tick for tick in ticks if least <= tick <= 100]


def short(layer: str) -> str:
    """Return a layer's name without the parameter's: 'hidden1.weight' -> 'hidden1'."""
    return layer.removesuffix(".weight")


def _distribution_panel(entries: list[Distribution], labels: list[str], title: str, axis: Axis | None) -> Spec:
    """Return one layer: the distribution at the start as an area, and a line per place."""
    x = alt.X("weight:Q", title="Weight", axis=alt.Axis(tickCount=5), scale=alt.Scale(nice=False))
    y = alt.Y("density:Q", title="Probability density", axis=alt.Axis(tickCount=4), scale=alt.Scale(nice=4))
    start = (
        alt.Chart(rows(_bins(entries[0], entries[0]["start"], ""))).mark_area(style="reference-area").encode(x=x, y=y)
    )
    color = alt.Color("place:O", scale=alt.Scale(domain=labels), sort=None, legend=alt.Legend(title=title))
    table = [row for entry in entries for row in _bins(entry, entry["end"], _label(entry, axis))]
    base = alt.Chart(rows(table)).encode(x=x, y=y, color=color)
    pointed = base.mark_line(strokeWidth=9, opacity=0)
    end = alt.layer(base.mark_line(strokeWidth=1.7), pointed.encode(tooltip=alt.Tooltip("place:N", title=title)))
    name = short(entries[0]["layer"])
    return panel(alt.layer(start, end, title=name, height=220, description=f"Distribution of weights of {name}"))


def _bins(entry: Distribution, heights: list[float | None], label: str) -> list[DataRow]:
    """Return one row per bin, at its centre."""
    return [
        {"weight": (low + high) / 2, "density": height, "place": label}
        for low, high, height in zip(entry["edges"], entry["edges"][1:], heights, strict=False)
        if height is not None
    ]
