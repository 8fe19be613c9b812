"""The figure of layers: how dense each of them stays."""

from collections.abc import Sequence

import altair as alt

from lth.analysis.documents import Distribution, LayerDensity, TableRow
from lth.analysis.reading import arms_of
from lth.report.bars import bar_figure
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import DataRow, falling_axis, rows
from lth.report.places import axis_of
from lth.report.replicates import replicate_layers
from lth.report.study import StudyFiles


def layer_density_figure(study: StudyFiles) -> Figure | None:
    """Return the percentage of each layer's weights that remain, by place; None where nothing is pruned.

    Where several arms stand at one place each has a panel. Where none has more than one density it is a list of layers.
    """
    layers = study.details["layers"]
    if all(entry["density"] == 1 for entry in layers):
        return None
    overall = _overall(layers)
    arms = arms_beside(layers)
    if all(len({overall[_key(entry)] for entry in some}) < 2 for some in _by_arm(layers, arms).values()):
        return _layer_list(study, arms)
    names = list(dict.fromkeys(short(entry["layer"]) for entry in layers))
    title = axis_of(study.results, "density").title
    charts = [
        _density_chart(
            _density_rows(study, some, overall),
            _replicates(some, overall),
            {key: overall[key] for key in map(_key, some)},
            names,
            title,
            arm,
        )
        for arm, some in _shown(study, layers, arms).items()
    ]
    gone = " Where a layer is empty it has no point." if any(entry["density"] <= 0 for entry in layers) else ""
    caption = (
        "Weights that remain in each layer against those that remain in the whole network, both logarithmic; colours "
        f"run from the first layer to the last. Dotted: the whole network; a layer above that is pruned less.{gone}"
    )
    entries = tuple((name, name) for name in names)
    return Figure("layer_density", "Density per layer", caption, tuple(charts), (Key("color", "Layer", entries),))


def arms_beside(entries: Sequence[LayerDensity | Distribution]) -> list[str]:
    """Return the arms, where two or more stand at one place; none where each place has one alone."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        found.setdefault(place_key(entry), set()).add(entry.get("arm", ""))
    is_shared = any(len(arms) > 1 for arms in found.values())
    return list(dict.fromkeys(entry.get("arm", "") for entry in entries)) if is_shared else []


def _by_arm(layers: Sequence[LayerDensity], arms: Sequence[str]) -> dict[str, list[LayerDensity]]:
    """Return the entries of each arm; all together where places have one arm."""
    return {arm: [entry for entry in layers if entry.get("arm", "") == arm] for arm in arms} or {"": list(layers)}


def _shown(study: StudyFiles, layers: Sequence[LayerDensity], arms: Sequence[str]) -> dict[str, list[LayerDensity]]:
    """Return what each panel shows: an arm, and the baseline where it stands at a place of its own."""
    by_arm = _by_arm(layers, arms)
    baselines = {arm["name"] for arm in arms_of(study.results, "baseline")} & {*arms}
    places = {arm: {place_key(entry) for entry in some} for arm, some in by_arm.items()}
    alone = [
        arm
        for arm, own in places.items()
        if arm in baselines and not any(own & other for name, other in places.items() if name != arm)
    ]
    before = [entry for arm in alone for entry in by_arm[arm]]
    return {arm: [*before, *some] for arm, some in by_arm.items() if arm not in alone}


def _overall(layers: list[LayerDensity]) -> dict[str, float]:
    """Return the percentage of all layers' weights that remain, of each arm at each place."""
    kept: dict[str, float] = {}
    total: dict[str, float] = {}
    for entry in layers:
        key = _key(entry)
        kept[key] = kept.get(key, 0.0) + entry["kept"]
        total[key] = total.get(key, 0.0) + entry["weights"]
    return {key: 100 * kept[key] / total[key] for key in total}


def _density_rows(study: StudyFiles, layers: Sequence[LayerDensity], overall: dict[str, float]) -> list[DataRow]:
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
        for entry in layers
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
    table: list[DataRow], ones: list[DataRow], overall: dict[str, float], names: list[str], title: str, arm: str
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
    layers = alt.layer(diagonal, base.mark_line(), *each, points)
    named = {"title": arm} if arm else {}
    return panel(layers.properties(height=320, description="Density of each layer", **named))


def _layer_list(study: StudyFiles, arms: Sequence[str]) -> Figure | None:
    """Return a bar per layer, and per arm where several stand at one place, for studies of one density."""
    layers = study.details["layers"]
    last = {(entry.get("arm", ""), entry["layer"]): entry for entry in layers}  # an arm has one density at all places
    table: list[TableRow] = [
        {
            "layer": short(entry["layer"]),
            "density": density,
            "replicate": replicate,
            **({"arm": entry.get("arm", "")} if arms else {}),
        }
        for entry in (last.values() if arms else layers)
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
            "colour": "arm" if arms else "layer",
            "panel": "",
            "table": "layers",
            "mark": "bar",
        },
    )


def _key(entry: LayerDensity | Distribution) -> str:
    return f"{entry.get('arm', '')} {place_key(entry)}"


def place_key(entry: LayerDensity | Distribution) -> str:
    """Return a place as text."""
    return repr(sorted(entry["at"].items()))


def _one_two_five(table: list[DataRow]) -> list[float]:
    """Return ticks 100, 50, 20, 10, ... down to the lowest density."""
    least = min((row["density"] for row in table), default=100.0)
    ticks = (digit * 10.0**power for power in range(2, -10, -1) for digit in (5, 2, 1))
    return [tick for tick in ticks if least <= tick <= 100]


def short(layer: str) -> str:
    """Return a layer's name without the parameter's: 'hidden1.weight' -> 'hidden1'."""
    return layer.removesuffix(".weight")
