"""Results as a small table of text: a row for each place of the study's axis, a column for each arm."""

from collections.abc import Sequence

from lth.analysis.documents import Interval, Results
from lth.analysis.numbers import digits_for, number, percent
from lth.analysis.reading import BEST_STEP, Cell, Measure, arms_of, cells, metric_of, num_replicates


def text_table(results: Results, *, intervals: bool = True) -> list[list[str]]:
    """Return the heading and rows of a table: the primary metric of each arm, and the best step.

    Cells are means over replicates with half of their interval (where an arm has one value at the place); `caption`
    says so, and names the unit. The best step is that of the subject, in the first row of the baseline.

    Args:
        results: the document.
        intervals: whether to add them to the means.
    """
    axis, metric = results["axis"], metric_of(results, "primary")
    arms = [arm["name"] for arm in arms_of(results)]
    by_place = _by_place(results, "primary")
    steps = _best_steps(results)
    kept = {place: _kept(group) for place, group in by_place.items()}
    has_place, has_kept = bool(axis) and len(by_place) > 1, any(kept.values())
    head = [axis.replace("_", " ")] * has_place + ["kept"] * has_kept + arms + ["best step"] * bool(steps)
    rows = [head]
    for place, group in by_place.items():
        shown = [_cell([each["interval"] for each in group if each["arm"] == arm], metric, intervals) for arm in arms]
        name = f"{place:g}" if isinstance(place, int | float) else place
        rows.append([name] * has_place + [kept[place]] * has_kept + shown + [steps.get(place, "")] * bool(steps))
    return rows


def caption(results: Results, *, intervals: bool = True) -> str:
    """Return what the cells of `text_table` are: 'test accuracy in %, means over 5 replicates ± half ...'."""
    metric, count = metric_of(results, "primary"), num_replicates(results)
    unit = " in %" if metric.unit == "fraction" else ""
    what = f"means over {count} replicates" if count > 1 else "one replicate"
    half = f" ± half of the {percent(results['confidence'])} interval" if intervals and count > 1 else ""
    return f"{metric.part} {metric.name}{unit}, {what}{half}".strip()


def aligned(rows: list[list[str]]) -> list[str]:
    """Return the rows of a table as lines, columns to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _by_place(results: Results, measure: str) -> dict[float | str, list[Cell]]:
    """Return the cells at each place of the study's axis."""
    groups: dict[float | str, list[Cell]] = {}
    for cell in cells(results, measure):
        groups.setdefault(cell["at"].get(results["axis"], ""), []).append(cell)
    return groups


def _kept(group: Sequence[Cell]) -> str:
    densities = [cell["at"]["density"] for cell in group if "density" in cell["at"]]
    return f"{100 * densities[-1]:.3g} %" if densities and isinstance(densities[-1], int | float) else ""


def _best_steps(results: Results) -> dict[float | str, str]:
    """Return the mean step of early stopping at each place, of the baseline or the subject."""
    lead = {arm["name"] for arm in arms_of(results, "baseline", "subject")}
    steps = {}
    for place, group in _by_place(results, BEST_STEP).items():
        means = [cell["interval"]["mean"] for cell in group if cell["arm"] in lead]
        if (first := next((mean for mean in means if mean is not None), None)) is not None:
            steps[place] = f"{first:,.0f}"
    return steps


def _cell(values: Sequence[Interval], metric: Measure, with_interval: bool) -> str:
    """Return an arm's value at a place; where it has several there, their mean alone."""
    means = [each["mean"] for each in values if each["mean"] is not None]
    if not means:
        return ""
    mean = sum(means) / len(means)
    digits = digits_for(metric, mean)
    text = number(mean, metric, digits=digits)
    low, high = (values[0]["low"], values[0]["high"]) if len(values) == 1 else (None, None)
    if not with_interval or low is None or high is None:
        return text
    if low == high:
        return f"{text} (equal)"
    return f"{text} ±{number((high - low) / 2, metric, digits=digits)}"
