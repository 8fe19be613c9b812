"""Figures of what changes of a weight do: its scale curve, and the strip of interventions beside their controls."""

from collections.abc import Sequence

import altair as alt

from lth.analysis.super_weights import GROUPS, InterventionRow, SuperWeightsDocument
from lth.analysis.super_weights_words import amount, times, times_range
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import DataRow, rows
from lth.report.theme import OTHER

SHORT = "format(datum.value, datum.value < 1000 ? '~g' : '~s')"
"""Vega's expression for a label: 0.5, 100, 20k."""

GROUP_WORDS = {
    "weight": "the weight",
    "row": "its row",
    "column": "its neuron",
    "activation": "what it causes",
    "pair": "pairs",
    "control": "controls",
}
LONGEST = 30
ROW = 24


def scale_figure(document: SuperWeightsDocument) -> Figure | None:
    """Return the ratio of perplexities against the factor of the weight; None without a curve."""
    curves: dict[str, list[InterventionRow]] = {}
    for row in document["interventions"]:
        if row["group"] == "weight" and row["factor"] is not None and row["ratio"]["value"]:
            curves.setdefault(row["coordinate"], []).append(row)
    names = [name for name, curve in curves.items() if len(curve) > 2]
    if not names:
        return None
    as_it_is: DataRow = {"factor": 1.0, "value": 1.0, "low": None, "high": None, "words": "1"}
    table: list[DataRow] = []
    for name in names:
        points = [_shown(row) | {"factor": row["factor"]} for row in curves[name]]
        table += [row | {"name": name} for row in sorted([*points, as_it_is], key=lambda row: row["factor"])]
    colour = alt.Color("name:N", scale=alt.Scale(domain=names, range=OTHER), legend=alt.Legend(title=None))
    base = alt.Chart(rows(table)).encode(
        x=alt.X("factor:Q", title="The weight times", axis=alt.Axis(tickCount=8), scale=alt.Scale(nice=False)),
        color=colour,
    )
    scale = _ratio_scale(table)
    y = alt.Y("value:Q", title="Perplexity, times that of the model", scale=scale, axis=_ratio_axis(table))
    tooltip = [alt.Tooltip("name:N", title="weight"), alt.Tooltip("factor:Q"), *_ratio_tooltip()]
    layers = [
        alt.Chart(rows([{"value": 1.0}])).mark_rule(style="reference-line").encode(y=y),
        base.transform_filter("isValid(datum.low)")
        .mark_area(opacity=0.16)
        .encode(y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        base.mark_line().encode(y=y),
        base.mark_point(filled=True, size=46, opacity=1).encode(y=y, tooltip=tooltip),
    ]
    spec = panel(alt.layer(*layers, height=320, description="Ratio of perplexities against the factor of the weight"))
    caption = (
        f"Perplexity with the weight multiplied by a factor, over perplexity as it is (dotted). {_intervals(document)}"
    )
    keys = (Key("color", "", tuple((name, name) for name in names)),)
    return Figure("scale", "The weight, scaled", caption, (spec,), keys)


def strip_figure(document: SuperWeightsDocument) -> Figure | None:
    """Return every intervention of the tested weights beside its controls, on a logarithmic axis of ratios."""
    by_name: dict[str, list[InterventionRow]] = {}
    for row in document["interventions"]:
        if row["group"] and row["ratio"]["value"]:
            by_name.setdefault(row["coordinate"], []).append(row)
    full = {name: table for name, table in by_name.items() if len({row["group"] for row in table}) > 1}
    if not full:
        return None
    groups = [group for group in GROUPS if any(row["group"] == group for table in full.values() for row in table)]
    everything = [_shown(row) for table in full.values() for row in table]
    panels = tuple(
        _strip_panel(
            sorted(table, key=lambda row: groups.index(row["group"])), groups, everything, name * (len(full) > 1)
        )
        for name, table in full.items()
    )
    caption = (
        "Perplexity after each change, over perplexity as it is (dotted), on a logarithmic axis. "
        f"{_intervals(document)} What only the weight does, and neither its neuron nor the controls, is its own."
    )
    keys = (Key("color", "", tuple((GROUP_WORDS[group], GROUP_WORDS[group]) for group in groups)),)
    return Figure("interventions", "The weight beside its controls", caption, panels, keys)


def _strip_panel(
    table: Sequence[InterventionRow], groups: Sequence[str], everything: list[DataRow], title: str
) -> Spec:
    data = [_shown(row) | {"what": row["label"], "group": GROUP_WORDS[row["group"]]} for row in table]
    order = list(dict.fromkeys(row["what"] for row in data))
    limit = 7 * min(max(map(len, order)), LONGEST)
    y = alt.Y("what:N", sort=order, title=None, axis=alt.Axis(grid=True, ticks=False, labelLimit=limit))
    scale = _ratio_scale(everything, room=True)
    axis = _ratio_axis(everything)
    x = alt.X("value:Q", title="Perplexity, times that of the model", scale=scale, axis=axis)
    names = [GROUP_WORDS[group] for group in groups]
    colour = alt.Color("group:N", scale=alt.Scale(domain=names, range=OTHER), legend=alt.Legend(title=None))
    base = alt.Chart(rows(data)).encode(y=y)
    ends = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2.5)
    layers = [
        alt.Chart(rows([{"value": 1.0}])).mark_rule(style="reference-line").encode(x=x),
        ends.encode(x=alt.X("low:Q", scale=scale), x2="high:Q", color=colour),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x=x, color=colour, tooltip=[alt.Tooltip("what:N"), alt.Tooltip("group:N"), *_ratio_tooltip()]
        ),
        alt.Chart(rows(_strip_words(data)))
        .mark_text(align="left", dx=9)
        .encode(y=y, x=alt.X("end:Q", scale=scale), text="words:N"),
    ]
    more = {"title": title} if title else {}
    description = "Ratio of perplexities after each change"
    return panel(alt.layer(*layers, height=ROW * len(order) + 16, description=description, **more))


def _strip_words(data: Sequence[DataRow]) -> list[DataRow]:
    """Return the words behind each line of a strip: its ratio, or the range of several draws."""
    lines: dict[str, list[DataRow]] = {}
    for row in data:
        lines.setdefault(row["what"], []).append(row)
    table: list[DataRow] = []
    for what, draws in lines.items():
        ordered = [row["words"] for row in sorted(draws, key=lambda row: row["value"])]
        several = f"{ordered[0]} to {ordered[-1]}" if len(set(ordered)) > 1 else ordered[0]
        table.append({"what": what, "end": max(row["end"] for row in draws), "words": several})
    return table


def _intervals(document: SuperWeightsDocument) -> str:
    protocol = document["protocol"]
    over = f" over {protocol['blocks']} blocks of the text" if protocol else ""
    return f"{100 * document['confidence']:g} % Student-t intervals, paired{over}."


def _shown(row: InterventionRow) -> DataRow:
    """Return a ratio of perplexities with its ends and words; `end` is where words stand behind it."""
    ratio = row["ratio"]
    ends = [ratio["value"], ratio["low"], ratio["high"]]
    return {
        **ratio,
        "end": max(value for value in ends if value is not None),
        "words": times(ratio["value"]),
        "interval": times_range(ratio),
        "perplexity": amount(row["perplexity"]["value"]),
        "worse": f"{row['worse']} of {row['blocks']}",
    }


def _ratio_tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("words:N", title="ratio"),
        alt.Tooltip("interval:N"),
        alt.Tooltip("perplexity:N"),
        alt.Tooltip("worse:N", title="blocks worse"),
    ]


def _limits(table: Sequence[DataRow]) -> tuple[float, float]:
    ends = [row[name] for row in table for name in ("value", "low", "high") if row[name]]
    return min([*ends, 1.0]), max([*ends, 1.0])


def _ratio_scale(table: Sequence[DataRow], *, room: bool = False) -> alt.Scale:
    """Return a logarithmic scale of ratios; with room for words behind the last."""
    low, high = _limits(table)
    span = max(high / low, 1.05)
    domain = [low / span**0.04, high * span ** (0.3 if room else 0.04)]
    return alt.Scale(type="log", domain=domain, nice=False)


def _ratio_axis(table: Sequence[DataRow]) -> alt.Axis:
    """Return an axis with ticks at round ratios: powers of ten where there are several, else 1, 2, 5 and finer."""
    low, high = _limits(table)
    values = [digit * 10.0**power for power in range(-3, 12) for digit in (1, 2, 5)]
    if high / low > 1e3:
        values = [10.0**power for power in range(-3, 12)]
    elif high / low < 1.5:
        step = next(size for size in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1) if (high - low) / size < 8)
        values = [round(1 + step * index, 4) for index in range(-8, 9)]
    return alt.Axis(values=values, labelExpr=SHORT, grid=True, domain=False)
