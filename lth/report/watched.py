"""Figures and a table of single weights that a study watched over its levels."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from lth.analysis.documents import Interval, TableRow
from lth.analysis.reading import cells, metric_of
from lth.analysis.statistics import known_of
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import DataRow, rows
from lth.report.marks import FEWEST
from lth.report.study import StudyFiles
from lth.report.theme import OTHER
from lth.report.words import axis_title

STATES = ("kept", "pruned", "not decided")
SHAPES = ("circle", "cross", "circle")
WORDS = (
    ("kept", "kept by the new mask"),
    ("pruned", "pruned by the new mask"),
    ("not decided", "the last level: no new mask"),
)
NOTE = (
    "Value before and after each training, rank by magnitude in the matrix, and under the new mask the survival of "
    "others: the tenth of its matrix with about its magnitude at the start, its matrix, its layer, all prunable "
    "weights. What a weight's survival says is its difference from these."
)
COLUMNS = (
    "weight", "level", "replicate", "value at start", "value at end", "rank", "today", "new mask",
    "its tenth (%)", "its matrix (%)", "its layer (%)", "all (%)",
)  # fmt: skip


def watched_rows(study: StudyFiles) -> list[TableRow]:
    """Return the rows of the watched weights; none where none is watched."""
    return study.details["tables"].get("watched", [])


def state(row: TableRow) -> str:
    """Return what the new mask does with the weight of a row."""
    return STATES[2] if row["is_kept"] is None else STATES[0] if row["is_kept"] else STATES[1]


def watched_figure(study: StudyFiles) -> Figure | None:
    """Return the value of each watched weight over levels, a panel per weight; None without any."""
    table = watched_rows(study)
    if not table:
        return None
    names = list(dict.fromkeys(row["weight"] for row in table))
    panels = tuple(_values_panel([row for row in table if row["weight"] == name], name) for name in names)
    caption = (
        "The value at the end of each level's training, a line per replicate. Each point says what the new mask, "
        "chosen by these values, does with the weight; a pruned one stays at zero."
    )
    return Figure("watched_values", "Watched weights", caption, panels, (Key("color", "", WORDS),))


def _values_panel(table: Sequence[TableRow], name: str) -> Spec:
    data: list[DataRow] = [{**_shown(row), "replicate": row["replicate"]} for row in table]
    base = alt.Chart(rows(data)).encode(x=_level(), y=alt.Y("end:Q", title="Value at the end of training"))
    zero = alt.Chart(rows([{"end": 0.0}])).mark_rule(style="reference-line").encode(y="end:Q")
    line = base.mark_line(style="replicate", strokeWidth=1).encode(detail="replicate:N")
    return panel(alt.layer(zero, line, _points(base), title=name, height=240, description=f"Values of {name}"))


def _shown(row: TableRow) -> DataRow:
    """Return what points of a watched weight are drawn from."""
    shares = {"matrix": row["of_matrix"], "tenth": row["of_tenth"]}
    return {
        "level": row["level"],
        "end": row["end"],
        "magnitude": abs(row["end"]),
        "state": state(row),
        "name": f"{row['weight']}, replicate {row['replicate']}",
        "rank": f"{row['rank']:,} of {row['of']:,}",
        **{name: "" if share is None else f"{100 * share:.1f} %" for name, share in shares.items()},
    }


def _level() -> alt.X:
    return alt.X("level:O", title="Level", axis=alt.Axis(labelAngle=0))


def _points(base: Any) -> Any:
    colour = alt.Color("state:N", scale=alt.Scale(domain=list(STATES), range=OTHER), legend=alt.Legend(title=None))
    shape = alt.Shape("state:N", scale=alt.Scale(domain=list(STATES), range=list(SHAPES)), legend=None)
    tooltip = [
        alt.Tooltip("name:N", title="weight"),
        alt.Tooltip("level:O"),
        alt.Tooltip("end:Q", title="value", format=".3g"),
        alt.Tooltip("rank:N", title="rank by magnitude"),
        alt.Tooltip("state:N", title="new mask"),
        alt.Tooltip("matrix:N", title="survival of its matrix"),
        alt.Tooltip("tenth:N", title="survival of its tenth"),
    ]
    return base.mark_point(filled=True, size=60, opacity=1).encode(color=colour, shape=shape, tooltip=tooltip)


def summary_figure(study: StudyFiles) -> Figure | None:
    """Return the primary metric and perplexity by level, and whether watched weights are kept; None without any."""
    table = watched_rows(study)
    if not table:
        return None
    measures = ["primary", *(["end/perplexity"] if "perplexity" in study.results["metrics"] else [])]
    panels = [_metric_panel(study, measure) for measure in measures]
    data = [{**_shown(row), "who": f"{row['weight']} ({row['replicate']})"} for row in table]
    who = alt.Y("who:N", title=None, sort=None, axis=alt.Axis(labelLimit=230, grid=False, ticks=False))
    marks = _points(alt.Chart(rows(data)).encode(x=_level(), y=who))
    height = max(220, 22 * len({row["who"] for row in data}))
    fate = panel(alt.layer(marks, title="Watched weights (replicate)", height=height, description="Watched weights"))
    caption = (
        "By level: the metrics of the dense network (level 0) and of the tickets at the end of training, with "
        "intervals over replicates, and what the new mask does with each watched weight."
    )
    return Figure("summary", "Level by level", caption, (fate, *panels), (Key("color", "", WORDS),))


def _metric_panel(study: StudyFiles, measure: str) -> Spec:
    roles = {arm["name"]: arm["role"] for arm in study.results["arms"]}
    data: list[DataRow] = [
        {"level": cell["at"]["level"], **_ends(cell["interval"])}
        for cell in cells(study.results, measure)
        if roles[cell["arm"]] in ("baseline", "subject") and cell["interval"]["mean"] is not None
    ]
    title = axis_title(metric_of(study.results, measure))
    scale = alt.Scale(zero=False)
    base = alt.Chart(rows(data)).encode(x=_level())
    y = alt.Y("mean:Q", title=title, scale=scale, axis=alt.Axis(format=",.4~g", tickCount=5))
    layers = [
        base.transform_filter("isValid(datum.low)")
        .mark_rule(style="interval")
        .encode(y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q"),
        base.mark_line(strokeWidth=1.5).encode(y=y),
        base.mark_point(filled=True, size=50, opacity=1).encode(
            y=y, tooltip=[alt.Tooltip("level:O"), alt.Tooltip("mean:Q", format=".4g")]
        ),
    ]
    return panel(alt.layer(*layers, title=title, height=220, description=f"{title} by level"))


def _ends(interval: Interval) -> DataRow:
    """Return mean and ends as drawn; of two replicates the mean alone."""
    is_drawn = len(known_of(interval["values"])) >= FEWEST
    return {"mean": interval["mean"], **{end: interval[end] if is_drawn else None for end in ("low", "high")}}


def watched_lines(study: StudyFiles) -> list[list[str]]:
    """Return the rows of the table of watched weights, as text."""

    return [
        [
            row["weight"],
            f"{row['level']:g}",
            str(row["replicate"]),
            f"{row['start']:.4g}",
            f"{row['end']:.4g}",
            f"{row['rank']:,} of {row['of']:,}",
            "kept" if row["was_kept"] else "pruned",
            "" if row["is_kept"] is None else state(row),
            *base_rates(row),
        ]
        for row in watched_rows(study)
    ]


def base_rates(row: TableRow) -> list[str]:
    """Return what a mask keeps of the weights beside one, in percent, in the order of COLUMNS; empty without a mask."""
    shares = (row.get(column) for column in ("of_tenth", "of_matrix", "of_layer", "of_all"))
    return ["" if share is None else f"{100 * share:.1f}" for share in shares]
