"""Several studies side by side: their names, the fields in which they differ, and their curves in one frame."""

from collections import Counter
from collections.abc import Sequence

import altair as alt

from lth.report.by_level import FIGURES, Measure, arms_of, measure_domain, measure_rows, measure_tooltip
from lth.report.figure import Figure, Key, panel
from lth.report.frames import remaining_axis, rows
from lth.report.study import ARMS, Study
from lth.report.words import plain_fields

DASHES = {"ticket": [1, 0], "sparsified": [12, 3], "reinit": [7, 4], "random": [2, 3]}
MAX_FIELDS_IN_NAME = 2


def differing_fields(studies: Sequence[Study]) -> dict[str, list[str]]:
    """The configuration fields that are not the same in all studies, with one plain value a study ('' if absent)."""
    configs = [plain_fields(study.results["config"]) for study in studies]
    names = dict.fromkeys(name for config in configs for name in config)
    values = {name: [config.get(name, "") for config in configs] for name in names}
    return {name: row for name, row in values.items() if len(set(row)) > 1}


def study_names(studies: Sequence[Study]) -> list[str]:
    """A short, unique name a study: the fields that set it apart where they are few, its id where they do not."""
    fields = differing_fields(studies)
    if 0 < len(fields) <= MAX_FIELDS_IN_NAME:
        names = [", ".join(f"{name} {row[index]}" for name, row in fields.items()) for index in range(len(studies))]
    else:
        names = [study.results["id"] for study in studies]
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{name} ({study.results['id']}, {place})"
        for place, (name, study) in enumerate(zip(names, studies, strict=True), start=1)
    ]


def comparison_figures(studies: Sequence[Study]) -> list[Figure]:
    """Test accuracy and early-stopping iteration of all studies: colour tells the study, the dash tells the arm."""
    return [_figure(studies, study_names(studies), *row) for row in FIGURES[:2]]


def _figure(
    studies: Sequence[Study], names: list[str], name: str, measure: Measure, title: str, axis: str, says: str
) -> Figure:
    arms = [arm for arm in ARMS if any(arm in arms_of(study.results) for study in studies)]
    table = [
        {**row, "study": label}
        for arm in reversed(arms)
        for study, label in zip(studies, names, strict=True)
        if arm in arms_of(study.results)
        for row in measure_rows(study.results, measure, arm)
    ]
    dense = [
        study.results["dense"][measure] for study in studies if study.results["dense"][measure]["mean"] is not None
    ]
    worst = min(
        dense, key=lambda interval: interval["mean"] or 0.0, default=None
    )  # its tickets must be in the frame too
    domain, is_cut = measure_domain(table, worst, measure)
    y = alt.Y(
        "mean:Q",
        title=axis,
        scale=alt.Scale(domain=domain, nice=False, zero=False),
        axis=alt.Axis(format=",~f", tickCount=6),
    )
    base = alt.Chart(rows(table)).encode(
        x=remaining_axis([row["percent"] for row in table] or [100.0]),
        color=alt.Color("study:N", scale=alt.Scale(domain=names), legend=alt.Legend(title=None, columns=3)),
    )
    dash = alt.StrokeDash(
        "line:N",
        scale=alt.Scale(domain=arms, range=[DASHES[arm] for arm in arms]),
        legend=alt.Legend(title=None),
    )
    band = base.transform_filter("datum.line == 'ticket' && isValid(datum.low)").mark_area(opacity=0.13, clip=True)
    lines = base.mark_line(clip=True).encode(y=y, strokeDash=dash)
    points = base.transform_filter(alt.datum.mean >= domain[0]).mark_point(filled=True, size=36, opacity=1)
    chart = alt.layer(
        band.encode(y=alt.Y("low:Q", title=axis), y2="high:Q"),
        lines,
        points.encode(y=y, tooltip=[alt.Tooltip("study:N"), *measure_tooltip(measure)]),
        height=360,
        description=f"{title}, all studies: {says}",
    )
    cut = " Values below the frame are cut off; the result files have them." if is_cut else ""
    caption = f"{says} Means over replicates, from the dense network at 100 % on; bands: intervals of the tickets.{cut}"
    keys = (
        Key("color", "", tuple((label, label) for label in names)),
        Key("strokeDash", "", tuple((arm, arm) for arm in arms)),
    )
    return Figure(name, title, caption, (panel(chart),), keys)
