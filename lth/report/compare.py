"""Several studies side by side: their figures in one frame."""

from collections.abc import Sequence

import altair as alt

from lth.analysis.documents import PlotDocument, Results
from lth.report.bars import bar_figure
from lth.report.figure import Figure, Key, Spec, panel
from lth.report.frames import MEASURED, DataRow, Domain, cropped, falling_axis, rows
from lth.report.lines import CUT, DASHES, arrowheads, from_baseline, has_line, line_domain
from lth.report.marks import Mark, is_few, marks, metric_of_plot, shown_interval, title_of_y
from lth.report.names import study_names
from lth.report.places import PERCENT, axis_of
from lth.report.replicates import replicate_layers, replicate_rows
from lth.report.side_by_side import survival_figure
from lth.report.study import StudyFiles


def comparison_figures(studies: Sequence[StudyFiles], names: Sequence[str] = ()) -> list[Figure]:
    """Return the figures that all studies have: colour is the study, the dash is the arm."""
    names = list(names) or study_names(studies)
    figures = []
    for plot in studies[0].results["plots"]:
        same = [each for study in studies for each in study.results["plots"] if each["name"] == plot["name"]]
        is_simple = plot["colour"] == "arm" and not plot["panel"] and not plot["table"]
        if is_simple and len(same) == len(studies) and all(each["y"] == plot["y"] for each in same):
            drawn = _lines(studies, names, plot) if plot["mark"] == "line" else _bars(studies, names, plot)
            figures += [drawn] if drawn else []
    survival = survival_figure(studies, names)
    return [*figures, *([survival] if survival else [])]


def _marks_of_lines(
    studies: Sequence[StudyFiles], names: list[str], plot: PlotDocument
) -> tuple[list[tuple[str, Mark]], list[Mark], list[str]]:
    """Return the marks of all lines by study, those of baselines without a line, and the arms in order."""
    lines: list[tuple[str, Mark]] = []
    levels: list[Mark] = []
    arms: list[str] = []
    for study, name in zip(studies, names, strict=True):
        drawable = marks(study, plot)
        baselines = {arm["name"] for arm in study.results["arms"] if arm["role"] == "baseline"}
        level = [mark for mark in drawable if mark.arm in baselines and not has_line(drawable, mark)]
        levels += level
        arms += [arm["name"] for arm in study.results["arms"] if arm["name"] not in arms]
        drawn = [mark for mark in drawable if mark not in level and isinstance(mark.x, int | float)]
        lines += [(name, mark) for mark in from_baseline(drawn, level)]
    return lines, levels, [arm for arm in arms if any(mark.colour == arm for _, mark in lines)]


def _lines(studies: Sequence[StudyFiles], names: list[str], plot: PlotDocument) -> Figure | None:
    first = studies[0].results
    metric, axis = metric_of_plot(first, plot), axis_of(first, plot["x"], plot["x_words"])
    lines, levels, arms = _marks_of_lines(studies, names, plot)
    if not lines:
        return None
    # The subject of the worst baseline must be in frame.
    worst = sorted(levels, key=lambda mark: metric.gain(mark.interval["mean"] or 0.0))[:1]
    domain, is_cut = line_domain(first, metric, [mark for _, mark in lines], worst)
    subjects = {arm["name"] for study in studies for arm in study.results["arms"] if arm["role"] == "subject"}
    table = [
        {
            "study": name,
            "line": mark.colour,
            "band": mark.colour in subjects,
            "x": mark.x * axis.scale,
            **shown_interval(mark.interval, metric),
        }
        for name, mark in sorted(lines, key=lambda pair: pair[1].colour in subjects)
        if isinstance(mark.x, int | float)
    ]
    marked = [
        ({"study": name, "line": mark.colour, "x": mark.x * axis.scale}, mark)
        for name, mark in lines
        if isinstance(mark.x, int | float)
    ]
    ones = replicate_rows(marked, metric, domain, is_log=plot["log_x"])
    chart = _lines_chart(table, ones, first, plot, domain, names, arms, always=is_some_few(studies))
    few = is_some_few(studies)
    bands = "small points: single replicates" if few else "bands: intervals of what each study is about"
    caption = f"{plot['words']} Means over replicates; {bands}.{CUT if is_cut else ''}"
    keys = [Key("color", "", tuple((name, name) for name in names))]
    keys += [Key("strokeDash", "", tuple((arm, arm) for arm in arms))] if len(arms) > 1 else []
    return Figure(plot["name"], plot["title"], caption, (chart,), tuple(keys))


def is_some_few(studies: Sequence[StudyFiles]) -> bool:
    """Return whether some study has too few replicates for intervals to be drawn."""
    return any(is_few(study.results) for study in studies)


def _lines_chart(
    table: list[DataRow],
    ones: list[DataRow],
    results: Results,
    plot: PlotDocument,
    domain: Domain,
    names: list[str],
    arms: list[str],
    *,
    always: bool,
) -> Spec:
    """Return a colour per study, a dash per arm, and bands around the subjects."""
    metric, axis = metric_of_plot(results, plot), axis_of(results, plot["x"], plot["x_words"])
    x = alt.X("x:Q", title=axis.title, scale=alt.Scale(nice=False))
    if plot["log_x"]:
        x = falling_axis([row["x"] for row in table], "x", axis.title, falls=axis.name in PERCENT)
    y = alt.Y(
        "mean:Q",
        title=title_of_y(results, plot),
        scale=alt.Scale(domain=list(domain), nice=False, zero=False),
        axis=alt.Axis(format=",~f" if metric.unit in ("fraction", "steps") else ",.4~g", tickCount=6),
    )
    colour = alt.Color("study:N", scale=alt.Scale(domain=names), legend=alt.Legend(title=None, columns=3))
    patterns = [DASHES[index % len(DASHES)] for index in range(len(arms))]
    dash = alt.StrokeDash("line:N", scale=alt.Scale(domain=arms, range=patterns), legend=alt.Legend(title=None))
    shown = _cropped_lines(table, domain, is_log=plot["log_x"])
    base = alt.Chart(rows(shown)).encode(
        x=falling_axis([row["x"] for row in table], "x", axis.title, falls=axis.name in PERCENT)
        if plot["log_x"]
        else x,
        color=colour,
    )
    tooltip = [
        alt.Tooltip("study:N"),
        alt.Tooltip("line:N", title="arm"),
        alt.Tooltip("x:Q", title=axis.title, format=",.3~g"),
        alt.Tooltip("value:N", title="mean"),
        alt.Tooltip("interval:N", title="interval"),
    ]
    band = base.transform_filter("datum.band && isValid(datum.low)").mark_area(opacity=0.13)
    points = base.transform_filter(MEASURED).mark_point(filled=True, size=36, opacity=1)
    return panel(
        alt.layer(
            band.encode(y=alt.Y("low:Q", title=title_of_y(results, plot)), y2="high:Q", detail="line:N"),
            *replicate_layers(ones, y, lines=False, always=always, x=x, color=colour),
            base.mark_line().encode(y=y, strokeDash=dash),
            *arrowheads(base, y, shown),
            points.encode(y=y, tooltip=tooltip),
            height=360,
            description=f"{plot['title']}, all studies: {plot['words']}",
        )
    )


def _cropped_lines(table: list[DataRow], domain: Domain, *, is_log: bool) -> list[DataRow]:
    """Return the rows line by line, each from left to right, with nothing outside the frame."""
    by_line: dict[tuple[str, str], list[DataRow]] = {}
    for row in table:
        by_line.setdefault((row["study"], row["line"]), []).append(row)
    ordered = (sorted(line, key=lambda row: row["x"], reverse=is_log) for line in by_line.values())
    return [row for line in ordered for row in cropped(line, domain, is_log=is_log)]


def _bars(studies: Sequence[StudyFiles], names: list[str], plot: PlotDocument) -> Figure | None:
    """Return bars of all studies side by side: a group per arm, or per value of x."""
    table = []
    for study, name in zip(studies, names, strict=True):
        for mark in marks(study, plot):
            for replicate, value in enumerate(mark.interval["values"]):
                row = {"study": name, plot["x"]: mark.x, "value": value}
                table.append(row | {"replicate": replicate})
    first = studies[0]
    metrics = {**first.results["metrics"], "value": _document_of(first, plot)}
    all_in_one = StudyFiles({**first.results, "metrics": metrics}, {**first.details, "tables": {"studies": table}})  # type: ignore[typeddict-item]
    return bar_figure(
        all_in_one,
        {**plot, "table": "studies", "y": "value", "y_words": title_of_y(first.results, plot), "colour": "study"},
    )


def _document_of(study: StudyFiles, plot: PlotDocument) -> dict[str, str]:
    metric = metric_of_plot(study.results, plot)
    return {"better": metric.better, "unit": metric.unit, "words": metric.words}
