"""Figure and table of the spikes that a study followed over its levels: which weight carries them in which network."""

import altair as alt

from lth.analysis.documents import TableRow
from lth.report.figure import Figure, Key, panel
from lth.report.frames import DataRow, rows
from lth.report.study import StudyFiles
from lth.report.theme import OTHER
from lth.report.watched import base_rates

WORDS = (
    ("found", "found in the initial network"),
    ("kept", "the same weight carries the spike"),
    ("moved", "another weight of its channel or its block carries it now"),
    ("gone", "no such weight carries it any more"),
    ("born", "a weight that no earlier spike moved to"),
)
SHAPES = ("circle", "circle", "triangle-right", "cross", "diamond")
COLUMNS = (
    "weight", "network", "replicate", "event", "carried by", "kind", "value", "share of the output", "over its channel",
    "loss without it", "mask", "its tenth (%)", "its matrix (%)", "its layer (%)", "all (%)",
)  # fmt: skip
NOTE = (
    "Block, output, input of each weight that carries a spike: a candidate meets the limits of a search for super "
    "weights (whether the network needs it, only taking it out can tell: the change of the loss without it, in nats a "
    "token, with the interval over windows); a top weight carries the strongest spike of a network that has no "
    "candidate. Under the new mask the survival of others: the tenth of its matrix with about its magnitude at the "
    "start, its matrix, its layer, all prunable weights."
)


def followed_rows(study: StudyFiles) -> list[TableRow]:
    """Return the events of the spikes; none where none is followed."""
    return study.details["tables"].get("super_weights", [])


def followed_figure(study: StudyFiles) -> Figure | None:
    """Return the spikes over networks, a line per replicate and weight that carries one; None without any."""
    table = [row for row in followed_rows(study) if row["now"] is not None]
    if not table:
        return None
    networks = list(dict.fromkeys(row["network"] for row in followed_rows(study)))
    data = [_shown(row) for row in table]
    x = alt.X("network:N", title=None, sort=networks, axis=alt.Axis(labelAngle=0))
    title = "Over the median channel"
    y = alt.Y("over:Q", title=title, scale=alt.Scale(type="log"), axis=alt.Axis(format=",.4~g", tickCount=5))
    base = alt.Chart(rows(data)).encode(x=x, y=y)
    line = base.mark_line(style="replicate", strokeWidth=1).encode(detail=["replicate:N", "carrier:N"])
    events = [event for event, _ in WORDS]
    colour = alt.Color("event:N", scale=alt.Scale(domain=events, range=OTHER), legend=alt.Legend(title=None))
    shape = alt.Shape("event:N", scale=alt.Scale(domain=events, range=list(SHAPES)), legend=None)
    tooltip = [
        alt.Tooltip("name:N", title="carried by"),
        alt.Tooltip("network:N"),
        alt.Tooltip("event:N"),
        alt.Tooltip("before:N", title="before by"),
        alt.Tooltip("kind:N"),
        alt.Tooltip("over:Q", title="over the median channel", format=".3g"),
        alt.Tooltip("effect:Q", title="change of the loss without it", format="+.2g"),
    ]
    points = base.mark_point(filled=True, size=60, opacity=1).encode(color=colour, shape=shape, tooltip=tooltip)
    drawn = panel(alt.layer(line, points, title="Spikes", height=300, description="Spikes over networks"))
    caption = (
        "The largest output of the channel that a followed weight writes to, over the median channel's of its block: "
        "of candidates for super weights, or of the strongest spike where a network has none. Lines connect networks "
        "of one replicate in which the same weight carries it."
    )
    return Figure("super_weights", "Followed spikes", caption, (drawn,), (Key("color", "", WORDS),))


def _shown(row: TableRow) -> DataRow:
    return {
        "network": row["network"],
        "replicate": row["replicate"],
        "carrier": row["now"],
        "event": row["event"],
        "before": row["weight"] if row["event"] in ("kept", "moved") else "",
        "kind": row["kind"],
        "name": f"{row['now']}, replicate {row['replicate']}",
        "over": row["over_channels"],
        "effect": row["effect"],
    }


def _effect(row: TableRow) -> str:
    if row["effect"] is None:
        return ""
    ends = "" if row["effect_low"] is None else f" [{row['effect_low']:+.2g}, {row['effect_high']:+.2g}]"
    return f"{row['effect']:+.2g}{ends}"


def followed_lines(study: StudyFiles) -> list[list[str]]:
    """Return the rows of the table of followed spikes, as text."""

    def number(value: float | None, form: str = ".3g") -> str:
        return "" if value is None else format(value, form)

    return [
        [
            row["weight"],
            row["network"],
            str(row["replicate"]),
            row["event"],
            row["now"] or "",
            row["kind"],
            number(row["value"]),
            number(row["share"], ".2f"),
            number(row["over_channels"]),
            _effect(row),
            "" if row["is_kept"] is None else "kept" if row["is_kept"] else "pruned",
            *base_rates(row),
        ]
        for row in followed_rows(study)
    ]
