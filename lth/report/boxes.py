"""The figure of magnitudes by level: a box per level of each chosen tensor, with the watched weights in it."""

import altair as alt

from lth.analysis.documents import BOX_SHARES, Box
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import DataRow, rows
from lth.report.study import StudyFiles
from lth.report.theme import OTHER
from lth.report.watched import STATES, state, watched_rows
from lth.report.weights import short

RESIDUAL = "c_proj"
MOST, FEW = 24, 6
WHEN = ("start", "end")
DOMAIN = (*WHEN, *STATES)
QUANTILES = ("low", "q1", "median", "q3", "high")


def box_figure(study: StudyFiles) -> Figure | None:
    """Return boxes of the surviving weights' magnitudes by level; None without levels or weights.

    Shown are the tensors of watched weights and every `c_proj`, else the largest few.
    """
    boxes = [box for box in study.details.get("boxes", []) if "level" in box["at"]]
    if not boxes or not watched_rows(study):
        return None
    panels = tuple(_panel(study, [box for box in boxes if box["layer"] == name]) for name in _chosen(study, boxes))
    caption = (
        "Magnitudes of the surviving weights at the start and the end of each level's training: from 1 to 99 % of them "
        "(line), the middle half (bar), the median (stroke); means over replicates. Points: the watched weights at the "
        "end."
    )
    entries = tuple((name, {"start": "before training", "end": "after training"}[name]) for name in WHEN)
    points = ((STATES[0], "watched, kept by the new mask"), (STATES[1], "watched, pruned by the new mask"))
    return Figure("magnitudes", "Magnitudes by level", caption, panels, (Key("color", "", entries + points),))


def _chosen(study: StudyFiles, boxes: list[Box]) -> list[str]:
    names = list(dict.fromkeys(box["layer"] for box in boxes))
    sizes = {row["layer"]: row["weights"] for row in study.details["layers"]}
    watched = {row["tensor"] for row in watched_rows(study)}
    usual = [name for name in names if RESIDUAL in name] or sorted(names, key=lambda each: -sizes.get(each, 0))[:FEW]
    first = [name for name in names if name in watched]
    return [*first, *(name for name in usual if name not in watched)][:MOST]


def _panel(study: StudyFiles, boxes: list[Box]) -> Spec:
    scale = alt.Scale(domain=list(DOMAIN), range=OTHER)
    colour = alt.Color("when:N", scale=scale, legend=alt.Legend(title=None, values=list(DOMAIN[:-1])))
    shares = [
        alt.Tooltip(f"{name}:Q", title=f"{100 * share:g} %", format=".3g")
        for name, share in zip(QUANTILES, BOX_SHARES, strict=True)
    ]
    base = alt.Chart(rows(_box_rows(boxes))).encode(
        x=alt.X("level:O", title="Level", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("when:N", scale=alt.Scale(domain=list(WHEN), paddingInner=0.2)),
        tooltip=[alt.Tooltip("level:O"), alt.Tooltip("when:N"), *shares],
    )
    layers = [
        base.mark_rule().encode(y=alt.Y("low:Q", title="Magnitude"), y2="high:Q", color=colour),
        base.mark_bar(opacity=0.75).encode(y=alt.Y("q1:Q", title="Magnitude"), y2="q3:Q", color=colour),
        base.mark_tick(style="interval", thickness=1.5).encode(y="median:Q"),
    ]
    layer = boxes[0]["layer"]
    if watched := [row for row in watched_rows(study) if row["tensor"] == layer and (row["was_kept"] or row["end"])]:
        table = [
            {"level": row["level"], "magnitude": abs(row["end"]), "when": state(row), "name": row["weight"]}
            for row in watched
        ]
        points = alt.Chart(rows(table)).mark_point(filled=True, size=55, opacity=1, stroke="white", strokeWidth=0.6)
        words = [alt.Tooltip("name:N"), alt.Tooltip("magnitude:Q", format=".3g"), alt.Tooltip("when:N", title="mask")]
        layers.append(points.encode(x="level:O", y="magnitude:Q", color=colour, tooltip=words))
    return panel(alt.layer(*layers, title=short(layer), height=230, description=f"Magnitudes of {layer} by level"))


def _box_rows(boxes: list[Box]) -> list[DataRow]:
    table: list[DataRow] = []
    for box in boxes:
        for when, values in (("start", box["start"]), ("end", box["end"])):
            table.append({"level": box["at"]["level"], "when": when, **dict(zip(QUANTILES, values, strict=True))})
    return table
