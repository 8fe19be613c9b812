"""What a page of several searches adds: a table of all, one for each question, and the survival of watched matrices."""

from collections.abc import Sequence

import altair as alt

from lth.analysis.contrasts import TARGETS, Contrast, Side, contrasts, is_apart, sides
from lth.analysis.documents import Interval
from lth.analysis.numbers import bounded, is_alike, number, show_mean, show_range, unit_of_difference
from lth.analysis.reading import Measure, baseline_cell, metric_of
from lth.report.figure import Figure, Key, panel
from lth.report.frames import DataRow, falling_axis, rows
from lth.report.grids import Cell, Grid, by_study
from lth.report.study import StudyFiles
from lth.report.words import MINUS, axis_title


def side_by_side(studies: Sequence[StudyFiles], names: Sequence[str]) -> Grid | None:
    """Return one table of all studies, each beside its own baseline; None where they have no densities in common."""
    metric = metric_of(studies[0].results, "primary")
    found = [sides(study.results, study.details) for study in studies]
    shown = [target for target in TARGETS if any(target in each for each in found)]
    is_watched = any(side.matrix for each in found for side in each.values())
    head = [f"{axis_title(metric)}, {_baseline(studies[0])}"]
    head += [f"about {100 * target:.0f} % kept" for target in shown]
    head += ["SD over seeds"] * bool(shown)
    head += ["watched weights kept (%)", "their matrix kept (%)"] * is_watched
    lines = {
        name: _line(study, each, shown, metric, is_watched)
        for study, name, each in zip(studies, names, found, strict=True)
    }
    return by_study("Study", head, lines) if shown else None


def _baseline(study: StudyFiles) -> str:
    cell = baseline_cell(study.results, "primary")
    return cell["arm"] if cell else "baseline"


def _line(
    study: StudyFiles, found: dict[float, Side], shown: list[float], metric: Measure, is_watched: bool
) -> list[Cell]:
    baseline = baseline_cell(study.results, "primary")
    cells: list[Cell] = [_value(baseline["interval"], metric) if baseline else ("", "")]
    for target in shown:
        side = found.get(target)
        cells.append(("", "") if side is None else _difference(side, study, metric))
    middle = found.get(0.5) or next(iter(found.values()), None)
    cells.append(("", "") if middle is None else (number(middle.deviation, metric), f"at {100 * middle.density:.3g} %"))
    if is_watched:
        for each in (middle.kept, middle.matrix) if middle else (None, None):
            cells.append(("", "") if each is None else _percent(each))
    return cells


def _difference(side: Side, study: StudyFiles, metric: Measure) -> Cell:
    """Return how far the subject is from its baseline."""
    mean, between = _signed(side.difference, metric, study.results["confidence"])
    return mean, f"{between} at {100 * side.density:.3g} %"


def _signed(difference: Interval, metric: Measure, confidence: float) -> Cell:
    """Return a difference and its interval without words: the heading names unit and confidence."""
    between = show_range(difference, metric, confidence)
    interval = between if is_alike(difference) else between.partition(" interval ")[2]
    return show_mean(difference, metric).removesuffix(unit_of_difference(metric)), interval or "no interval"


def _value(interval: Interval, metric: Measure) -> Cell:
    low, high = bounded(interval, metric)
    between = "" if low is None or high is None else f"{number(low, metric)} to {number(high, metric)}"
    return number(interval["mean"], metric), between


def _percent(interval: Interval) -> Cell:
    if interval["mean"] is None:
        return "", ""
    low, high = interval["low"], interval["high"]
    between = "" if low is None or high is None else f"{max(low, 0):.1f} to {min(high, 100):.1f}"
    return f"{interval['mean']:.1f}", between


def questions(studies: Sequence[StudyFiles], names: Sequence[str]) -> dict[str, Grid]:
    """Return a table for each question that some pair of studies answers: one minus the other."""
    metric = metric_of(studies[0].results, "primary")
    confidence = studies[0].results["confidence"]
    triples = [(name, study.results, study.details) for name, study in zip(names, studies, strict=True)]
    by_question: dict[str, list[Contrast]] = {}
    for each in contrasts(triples):
        by_question.setdefault(each.question, []).append(each)
    return {question: _question(several, metric, confidence) for question, several in by_question.items()}


def _question(several: Sequence[Contrast], metric: Measure, confidence: float) -> Grid:
    is_watched = any(each.matrix is not None and each.matrix["mean"] is not None for each in several)
    columns = ["Pair", "Kept", "Difference", "The first named is", *["Watched matrix (points)"] * is_watched]
    lines = [_contrast(each, metric, confidence) for each in several]
    return Grid(tuple(columns), tuple(tuple(line[: len(columns)]) for line in lines))


def _contrast(each: Contrast, metric: Measure, confidence: float) -> list[Cell]:
    first, second = (f"{100 * density:.3g} %" for density in each.densities)
    matrix: Cell = ("", "")
    if each.matrix is not None and each.matrix["mean"] is not None:
        low, high = each.matrix["low"], each.matrix["high"]
        matrix = f"{each.matrix['mean']:+.1f}", "" if low is None else f"{low:+.1f} to {high:+.1f}"
    return [
        (f"{each.names[1]} {MINUS} {each.names[0]}", ""),
        (second if first == second else f"{second} and {first}", ""),
        _signed(each.difference, metric, confidence),
        ("other densities" if is_apart(*each.densities) else _verdict(each.difference, metric), ""),
        matrix,
    ]


def _verdict(difference: Interval, metric: Measure) -> str:
    """Return what an interval settles about the second study of a pair."""
    low, high = difference["low"], difference["high"]
    if low is None or high is None:
        return "not settled: one replicate"
    if low <= 0 <= high:
        return "not settled"
    return "better" if metric.gain(low + high) > 0 else "worse"


def survival_figure(studies: Sequence[StudyFiles], names: Sequence[str]) -> Figure | None:
    """Return the survival of the watched weights' matrices against density, a line per study; None without any."""
    table: list[DataRow] = [
        {
            "study": name,
            "x": 100 * row["density"],
            **{end: row[end] for end in ("mean", "low", "high")},
        }
        for study, name in zip(studies, names, strict=True)
        for row in _matrices(study)
    ]
    if not table:
        return None
    colour = alt.Color("study:N", scale=alt.Scale(domain=list(names)), legend=alt.Legend(title=None, columns=4))
    y = alt.Y("mean:Q", title="Kept of the watched matrix (%)", scale=alt.Scale(domain=[0, 100]))
    x = falling_axis([row["x"] for row in table], "x", "Weights remaining (%)")
    base = alt.Chart(rows(table)).encode(x=x, color=colour)
    tooltip = [
        alt.Tooltip("study:N"),
        alt.Tooltip("x:Q", title="remaining (%)", format=".3~g"),
        alt.Tooltip("mean:Q", format=".3~g"),
    ]
    diagonal = alt.Chart(rows([{"x": value, "mean": value} for value in sorted({row["x"] for row in table})]))
    chart = alt.layer(
        diagonal.mark_line(style="reference-line").encode(x=x, y=y),
        base.mark_line().encode(y=y),
        base.mark_point(filled=True, size=36, opacity=1).encode(y=y, tooltip=tooltip),
        height=340,
        description="Survival of the watched matrix, all studies",
    )
    caption = (
        "Share of the first watched weight's matrix that is kept, against the share of all prunable weights. Dotted: "
        "as much as of all. A weight's survival is to be read against its own study's line."
    )
    return Figure(
        "matrix_survival",
        "Survival of the watched matrix",
        caption,
        (panel(chart),),
        (Key("color", "", tuple((n, n) for n in names)),),
    )


def _matrices(study: StudyFiles) -> list[DataRow]:
    table = study.details["tables"].get("watched_survival", [])
    return [row for row in table if row["weights"] == "its matrix" and row["layer"] == table[0]["layer"]]
