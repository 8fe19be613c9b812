"""The tables of a study's page: every value over places and arms."""

from collections.abc import Mapping
from dataclasses import dataclass

from lth.analysis.documents import Interval, Results
from lth.analysis.numbers import bounded, number
from lth.analysis.reading import (
    BEST_STEP,
    Measure,
    Place,
    arms_of,
    axes_of,
    cells,
    metric_of,
    num_diverged,
    places,
    rows_of,
)
from lth.report.places import axis_of
from lth.report.words import axis_title, minus


@dataclass(frozen=True, slots=True)
class Value:
    """One cell: a mean and its interval in words, without units; `span` columns wide."""

    mean: str
    between: str = ""
    span: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """One measure's columns: a title over an arm each."""

    title: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One place: its values on the axes, and a cell per column; `is_chosen` marks the place of the finding."""

    place: tuple[str, ...]
    values: tuple[Value | None, ...]
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table, ready to be written."""

    name: str
    axes: tuple[str, ...]
    blocks: tuple[Block, ...]
    lines: tuple[Line, ...]

    def labels(self, line: Line) -> list[str]:
        """Return what each value of a line is, in words that stand without the heading: 'Test accuracy (%), ticket'."""
        columns = [(block.title, arm) for block in self.blocks for arm in block.columns]
        named, first = [], 0
        for value in line.values:
            title, arm = columns[first]
            span = 1 if value is None else value.span
            named.append(f"{title}, {arm}" if arm and span == 1 else title)
            first += span
        return named


def main_table(results: Results) -> Table:
    """Return the primary metric at the end and the best step, over places and arms.

    Arms without places are lines themselves, with all metrics beside each other.
    """
    if not axes_of(results):
        return _by_arm(results)
    has_steps = any(row["best_step"] is not None for row in results["rows"])
    return _table(results, "All results", ["primary", *([BEST_STEP] if has_steps else [])])


def more_tables(results: Results) -> list[Table]:
    """Return a table for each other metric on the test part at the end."""
    if not axes_of(results):
        return []
    return [_table(results, title_of(metric_of(results, name)), [name]) for name in _others(results)]


def title_of(metric: Measure) -> str:
    """Return the heading of a metric's columns."""
    return axis_title(metric)


def diverged(results: Results) -> list[str]:
    """Return what is left out of the means: 'reinit at level 3: 1'."""
    lines = []
    for arm in arms_of(results):
        for at in places(results, arm["name"]):
            count = num_diverged(rows_of(results, arm["name"], at))
            place = ", ".join(f"{name} {axis_of(results, name).shown(value)}" for name, value in at.items())
            lines += [f"{arm['name']}{' at ' + place if place else ''}: {count}"] if count else []
    return lines


def _others(results: Results) -> list[str]:
    """Return measures of the other metrics that were taken."""
    names = [f"end/test/{name}" for name in results["metrics"] if name != results["primary"]]
    taken = {f"end/{name}" for row in results["rows"] for name in row["end"]}
    return [name for name in names if name in taken]


def _table(results: Results, name: str, measures: list[str]) -> Table:
    baseline = [arm["name"] for arm in arms_of(results, "baseline")]
    others = [at for arm in arms_of(results) if arm["name"] not in baseline for at in places(results, arm["name"])]
    single = [arm for arm in baseline if len(own := places(results, arm)) == 1 and own[0] not in others]
    arms = [arm["name"] for arm in arms_of(results) if arm["name"] not in single]
    arms = arms or single
    axes = [axis_of(results, axis) for axis in axes_of(results)]
    values = {measure: _values(results, measure) for measure in measures}
    lines = []
    for at in places(results):
        here: list[Value | None] = []
        for measure in measures:
            metric = metric_of(results, measure)
            only = [arm for arm in single if arm not in arms and _key(at) in values[measure].get(arm, {})]
            if only:
                shown = value(values[measure][only[0]][_key(at)], metric)
                here.append(Value(shown.mean, shown.between, len(arms), only[0]))
            else:
                intervals = [values[measure].get(arm, {}).get(_key(at)) for arm in arms]
                here += [None if each is None else value(each, metric) for each in intervals]
        place = tuple(axis.text(at.get(axis.name)) for axis in axes)
        lines.append(Line(place, tuple(here), bool(at) and at == results["verdict"]["at"]))
    blocks = tuple(Block(title_of(metric_of(results, measure)), tuple(arms)) for measure in measures)
    titles = tuple(f"{axis.title}" for axis in axes)
    return Table(name, titles, blocks, tuple(lines))


def _by_arm(results: Results) -> Table:
    has_steps = any(row["best_step"] is not None for row in results["rows"])
    measures = ["primary", *_others(results), *([BEST_STEP] if has_steps else [])]
    values = {measure: _values(results, measure) for measure in measures}
    lines = []
    for arm in arms_of(results):
        intervals = [values[measure].get(arm["name"], {}).get(_key({})) for measure in measures]
        cells_of = [
            None if each is None else value(each, metric_of(results, measure))
            for each, measure in zip(intervals, measures, strict=True)
        ]
        lines.append(Line((arm["name"],), tuple(cells_of), False))
    blocks = tuple(Block(title_of(metric_of(results, measure)), ("",)) for measure in measures)
    return Table("All results", ("Arm",), blocks, tuple(lines))


def value(interval: Interval, metric: Measure) -> Value:
    """Return a cell of a table."""
    if interval["mean"] is None:
        return Value("diverged")
    low, high = bounded(interval, metric)
    between = "" if low is None or high is None else f"{number(low, metric)} to {number(high, metric)}"
    return Value(minus(number(interval["mean"], metric)), minus(between))


def _values(results: Results, measure: str) -> dict[str, dict[str, Interval]]:
    intervals: dict[str, dict[str, Interval]] = {}
    for cell in cells(results, measure):
        intervals.setdefault(cell["arm"], {})[_key(cell["at"])] = cell["interval"]
    return intervals


def _key(at: Mapping[str, float | str] | Place) -> str:
    return repr(sorted(at.items()))
