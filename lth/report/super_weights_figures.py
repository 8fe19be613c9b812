"""The figures of a search for super weights, from its document alone."""

from collections.abc import Sequence
from statistics import median
from typing import Any, Literal

import altair as alt

from lth.analysis.super_weights import Candidate, SpikeRow, SuperWeightsDocument, leading
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import DataRow, rows
from lth.report.super_weights_effects import SHORT, scale_figure, strip_figure
from lth.report.theme import OTHER

WHEN = ("as it is", "candidates zeroed")
VERDICTS = ("super weight", "spike only", "not tested", "none")


def super_weights_figures(document: SuperWeightsDocument) -> list[Figure]:
    """Return all figures that a document allows, in the order of the page."""
    makers = (spike_figure, scale_figure, strip_figure, rank_figure, census_figure)
    return [figure for maker in makers if (figure := maker(document)) is not None]


def spike_figure(document: SuperWeightsDocument) -> Figure | None:
    """Return the largest |input| and |output| of each block's down-projection, before and after zeroing."""
    last = max((row["round"] for row in document["spikes"]), default=1)
    kept = [row for row in document["spikes"] if row["round"] in (1, last)]
    if not kept:
        return None
    when = WHEN[: 1 + (last > 1)]
    tables = {side: table for side in ("input", "output") if (table := _spike_rows(kept, side))}
    if not tables:  # all is zero, as in a network that is not trained yet
        return None
    found = {int(each["coordinate"].split(",")[0]): each["coordinate"] for each in _super_weights(document)}
    panels = tuple(
        _spike_panel(table, f"Largest |{side}| of the down-projection", when, found) for side, table in tables.items()
    )
    after = " Zeroed: all that earlier rounds found." if last > 1 else ""
    several = len({row["prompt"] for row in kept}) > 1
    over = "Medians over prompts, and the range over them" if several else "Over one prompt"
    caption = f"{over}; a logarithmic axis.{after}"
    return Figure(
        "spikes", "Maxima per block", caption, panels, (Key("color", "", tuple((name, name) for name in when)),)
    )


def _spike_rows(kept: Sequence[SpikeRow], side: str) -> list[DataRow]:
    """Return a row for each block, as it is and zeroed: over prompts, of the experts the largest."""
    largest: dict[tuple[int, int, int], float] = {}
    for row in kept:
        value = row["input"] if side == "input" else row["output"]
        key = (int(row["round"] > 1), row["block"], row["prompt"])
        if value:  # a logarithmic axis has no room for zero
            largest[key] = max(largest.get(key, 0.0), abs(value))
    table: list[DataRow] = []
    for when, block in sorted({key[:2] for key in largest}):
        values = [value for key, value in largest.items() if key[:2] == (when, block)]
        ends = {"low": min(values), "high": max(values)}
        table.append({"when": WHEN[when], "block": block, "value": median(values), **ends})
    return table


def _spike_panel(table: list[DataRow], title: str, when: Sequence[str], found: dict[int, str]) -> Spec:
    colour = alt.Color("when:N", scale=alt.Scale(domain=list(when), range=OTHER), legend=alt.Legend(title=None))
    base = alt.Chart(rows(table)).encode(x=_block_axis(), color=colour)
    scale = alt.Scale(type="log", nice=False)
    band = base.mark_area(opacity=0.16).encode(y=alt.Y("low:Q", title=None, scale=scale), y2="high:Q")
    axis = _log_axis([value for row in table for value in (row["low"], row["high"])])
    y = alt.Y("value:Q", title=None, scale=scale, axis=axis)
    tooltip = [
        alt.Tooltip("block:Q"),
        alt.Tooltip("when:N", title="model"),
        alt.Tooltip("value:Q", title="median", format=",.4~g"),
        alt.Tooltip("low:Q", title="least", format=",.4~g"),
        alt.Tooltip("high:Q", title="most", format=",.4~g"),
    ]
    layers: list[Any] = [band, base.mark_line(strokeWidth=1.8).encode(y=y)]
    layers.append(base.mark_point(filled=True, size=30, opacity=1).encode(y=y, tooltip=tooltip))
    named = [row | {"name": found[row["block"]]} for row in table if row["block"] in found and row["when"] == WHEN[0]]
    if named:
        words = alt.Chart(rows(named)).mark_text(dy=-11, fontWeight="bold")
        layers.append(words.encode(x=_block_axis(), y=y, text="name:N"))
    return panel(alt.layer(*layers, title=title, height=260, description=f"{title} by block"))


def rank_figure(document: SuperWeightsDocument) -> Figure | None:
    """Return the candidates' ranks by magnitude in their matrices."""
    found = leading(document["candidates"])
    if not found:
        return None
    data: list[DataRow] = [
        {
            "name": each["coordinate"],
            "rank": each["rank"],
            "of": each["of"],
            "first": 1,
            "verdict": each["verdict"],
            "words": f"{each['rank']:,}",
            "value": f"{each['value']:.4g}",
        }
        for each in found
    ]
    present = [verdict for verdict in VERDICTS if any(row["verdict"] == verdict for row in data)]
    order = [row["name"] for row in data]
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(grid=False, ticks=False))
    scale = alt.Scale(type="log", domain=[0.7, max(row["of"] for row in data)], nice=False)
    axis = alt.Axis(labelExpr="format(datum.value, ',')", values=[10**power for power in range(10)])
    x = alt.X("rank:Q", title="Rank by magnitude in its matrix", axis=axis, scale=scale)
    colour = alt.Color("verdict:N", scale=alt.Scale(domain=list(VERDICTS), range=OTHER), legend=alt.Legend(title=None))
    base = alt.Chart(rows(data)).encode(y=y)
    tooltip = [
        alt.Tooltip("name:N", title="weight"),
        alt.Tooltip("value:N"),
        alt.Tooltip("words:N", title="rank"),
        alt.Tooltip("of:Q", title="of", format=","),
        alt.Tooltip("verdict:N"),
    ]
    layers = [
        base.mark_rule(style="reference-line").encode(
            x=alt.X("first:Q", title="Rank by magnitude in its matrix"), x2="of:Q"
        ),
        base.mark_point(filled=True, size=80, opacity=1).encode(x=x, color=colour, tooltip=tooltip),
        base.mark_text(align="left", dx=9, dy=-8).encode(x=x, text="words:N"),
    ]
    spec = panel(alt.layer(*layers, height=30 * len(order) + 16, description="Rank by magnitude of each candidate"))
    caption = "Rank 1 is the largest magnitude of the matrix, all of which the dotted line is; a logarithmic axis."
    keys = (Key("color", "", tuple((verdict, verdict) for verdict in present)),)
    return Figure("ranks", "Rank by magnitude", caption, (spec,), keys)


def census_figure(document: SuperWeightsDocument) -> Figure | None:
    """Return how far each listed output channel's maximum is above the median channel's, by block."""
    if not document["census"]:
        return None
    mine = {tuple(map(int, each["coordinate"].split(",")[:2])) for each in _super_weights(document)}
    states = ("a super weight's row", "other rows")
    data: list[DataRow] = [
        {
            "block": row["block"],
            "channel": row["channel"],
            "ratio": row["ratio"],
            "row": f"{row['block']}, {row['channel']}" + ("" if row["expert"] is None else f", expert {row['expert']}"),
            "whose": states[(row["block"], row["channel"]) not in mine],
        }
        for row in document["census"]
        if row["ratio"] > 0
    ]
    if not data:
        return None
    present = [state for state in states if any(row["whose"] == state for row in data)]
    scale = alt.Scale(domain=list(reversed(states)), range=OTHER)
    colour = alt.Color("whose:N", scale=scale, legend=alt.Legend(title=None))
    axis = _log_axis([row["ratio"] for row in data])
    y = alt.Y("ratio:Q", title="Maximum over the median channel's", scale=alt.Scale(type="log", nice=False), axis=axis)
    tooltip = [alt.Tooltip("row:N", title="block, channel"), alt.Tooltip("ratio:Q", format=",.4~g")]
    base = alt.Chart(rows(data)).encode(x=_block_axis(), y=y)
    middle = (min(row["block"] for row in data) + max(row["block"] for row in data)) / 2
    top = sorted(data, key=lambda row: -row["ratio"])[:3]
    sides: dict[Literal["left", "right"], list[DataRow]] = {
        "left": [row for row in top if row["block"] <= middle],
        "right": [row for row in top if row["block"] > middle],
    }
    layers = [
        base.mark_point(filled=True, size=50, opacity=0.85).encode(color=colour, tooltip=tooltip),
        *(
            alt.Chart(rows(some))
            .mark_text(align=side, dx=8 if side == "left" else -8)
            .encode(x=_block_axis(), y=y, text="row:N")
            for side, some in sides.items()
            if some
        ),
    ]
    spec = panel(alt.layer(*layers, height=280, description="Maximum over the median channel's by block"))
    caption = (
        "Output channels of the down-projections: the largest |output| over that of the median channel of the "
        "matrix, of all prompts together. The three largest are named by block and channel."
    )
    keys = (Key("color", "", tuple((state, state) for state in present)),)
    return Figure("census", "Census of rows", caption, (spec,), keys)


def _super_weights(document: SuperWeightsDocument) -> list[Candidate]:
    return [each for each in document["candidates"] if each["verdict"] == VERDICTS[0]]


def _block_axis() -> alt.X:
    return alt.X(
        "block:Q", title="Block", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False, padding=8)
    )


def _log_axis(values: Sequence[float]) -> alt.Axis:
    """Return a logarithmic axis with ticks at powers of ten; at 1, 2, 5 between them where there are few."""
    digits = (1,) if max(values) / min(values) > 1e3 else (1, 2, 5)
    ticks = [digit * 10.0**power for power in range(-12, 13) for digit in digits]
    return alt.Axis(values=ticks, labelExpr=SHORT)
