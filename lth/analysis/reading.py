"""How a results document is read: cells over replicates, places in order, the metric behind a measure.

A *measure* names a number of a row: `primary` (the primary metric on the test part at the end), `end/test/NAME`,
`at_best/test/NAME` (at the early-stopping point), or `best_step`. `end/NAME` is `end/test/NAME`, and NAME may be
`primary`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from typing_extensions import TypedDict

from lth.analysis.documents import ArmDocument, Interval, MetricDocument, Results, Row
from lth.analysis.statistics import interval

Place = dict[str, float | str]
BEST_STEP = "best_step"


class Cell(TypedDict):
    """One measure of one arm at one place, over replicates."""

    arm: str
    at: Place
    interval: Interval


@dataclass(frozen=True, slots=True)
class Measure:
    """What a measure is: `unit` is that of a metric, or `steps`; `better` is higher or lower.

    `last_step` is that of the longest training, for steps; None where it is not known.
    """

    name: str
    better: str
    unit: str
    words: str
    part: str = ""
    last_step: int | None = None

    def gain(self, difference: float) -> float:
        """Return a difference of two values as an improvement: above 0 is better, whatever the direction."""
        return difference if self.better == "higher" else -difference


def metric_of(results: Results, measure: str) -> Measure:
    """Return what a measure is; a metric that the document does not describe is a plain number."""
    if measure == BEST_STEP:
        best = "lowest" if metric_named(results, results["stop_by"]).better == "lower" else "highest"
        words = f"step of the {best} validation {_spaced(results['stop_by'])}, where training would be stopped early"
        return Measure("best step", "lower", "steps", words, last_step=_last_step(results))
    part, name = _part_and_name(results, measure)
    return metric_named(results, name, part)


def _last_step(results: Results) -> int | None:
    """Return the last step of the longest training; None where one did not count its steps."""
    steps = [row["steps"] for row in results["rows"] if row["best_step"] is not None]
    return max((step for step in steps if step is not None), default=None) if None not in steps else None


def best_is_last(row: Row) -> bool:
    """Return whether a training is best at its last step, so that its best may lie beyond its end."""
    best, last = row["best_step"], row["steps"]
    return best is not None and last is not None and best >= last


def metric_named(results: Results, name: str, part: str = "") -> Measure:
    """Return a metric of the study by name."""
    known = results["metrics"].get(name, MetricDocument(better="lower", unit="plain", words=""))
    return Measure(_spaced(name), known["better"], known["unit"], known["words"], part)


def value_of(results: Results, row: Row, measure: str) -> float | None:
    """Return a row's value; None where its training diverged, is missing, or did not measure it."""
    if row["diverged_at"] is not None or row.get("missing"):
        return None
    if measure == BEST_STEP:
        return row["best_step"]
    part, name = _part_and_name(results, measure)
    values = row["at_best"] if measure.startswith("at_best/") else row["end"]
    value = values.get(f"{part}/{name}", values.get(name))
    return value if value is None or math.isfinite(value) else None


def _part_and_name(results: Results, measure: str) -> tuple[str, str]:
    if measure == "primary":
        return _part_of(results, results["primary"]), results["primary"]
    if not measure.startswith(("end/", "at_best/")):
        raise ValueError(
            f"unknown measure {measure!r}; write primary, {BEST_STEP}, end/test/NAME or at_best/test/NAME with a "
            f"metric's name ({', '.join(results['metrics'])})"
        )
    _, _, rest = measure.partition("/")
    part, slash, name = rest.partition("/")
    if not slash:
        part, name = _part_of(results, rest), rest
    return part, results["primary"] if name == "primary" else name


def _part_of(results: Results, name: str) -> str:
    """Return `test`; empty for what is measured on no data, as the overlap of masks."""
    measured = next((row["end"] for row in results["rows"] if row["end"]), {})
    return "" if name in measured else "test"


def num_replicates(results: Results) -> int:
    """Return how many replicates the study has."""
    return 1 + max((row["replicate"] for row in results["rows"]), default=-1)


def rows_of(results: Results, arm: str, at: Mapping[str, float | str] | None = None) -> list[Row]:
    """Return the rows of an arm, at a place where one is given."""
    return [row for row in results["rows"] if row["arm"] == arm and (at is None or row["at"] == at)]


def num_diverged(rows: Iterable[Row]) -> int:
    """Return how many of the rows have no result."""
    return sum(row["diverged_at"] is not None or bool(row.get("missing")) for row in rows)


def places(results: Results, arm: str | None = None) -> list[Place]:
    """Return the different places of the rows, or of one arm, in order of their numbers; densities fall."""
    different: dict[tuple[Any, ...], Place] = {}
    for row in results["rows"]:
        if arm in (None, row["arm"]):
            different.setdefault(_key(row["at"]), dict(row["at"]))
    axes = axes_of(results)
    order = {axis: _ranks((place.get(axis) for place in different.values()), falls=axis == "density") for axis in axes}
    return sorted(different.values(), key=lambda place: [order[axis][place.get(axis)] for axis in axes])


def _ranks(values: Iterable[float | str | None], *, falls: bool) -> dict[float | str | None, float]:
    """Return a rank for each value: none first, then numbers by size, then words as they come."""
    different = list(dict.fromkeys(values))
    numbers = sorted((value for value in different if isinstance(value, int | float)), reverse=falls)
    rest = [value for value in different if isinstance(value, str)]
    return {value: float(index) for index, value in enumerate([None, *numbers, *rest])}


def axes_of(results: Results) -> list[str]:
    """Return the axes on which rows have places, in the order of their appearance."""
    return list(dict.fromkeys(axis for row in results["rows"] for axis in row["at"]))


def arms_of(results: Results, *roles: str) -> list[ArmDocument]:
    """Return the arms that have rows, in the document's order; of these roles, where some are given."""
    present = {row["arm"] for row in results["rows"]}
    return [arm for arm in results["arms"] if arm["name"] in present and (not roles or arm["role"] in roles)]


def cells(results: Results, measure: str) -> list[Cell]:
    """Return a cell for each arm and place, arms in the document's order and places in theirs.

    A value is None where a replicate has no result. Several rows of one arm, place and replicate count with their mean.
    """
    values: dict[tuple[str, tuple[Any, ...]], dict[int, list[float]]] = {}
    for row in results["rows"]:
        own = values.setdefault((row["arm"], _key(row["at"])), {})
        value = value_of(results, row, measure)
        own.setdefault(row["replicate"], []).extend([] if value is None else [value])
    count, ordered = num_replicates(results), places(results)
    return [
        Cell(arm=arm["name"], at=at, interval=over_replicates(by_replicate, count, results["confidence"]))
        for arm in arms_of(results)
        for at in ordered
        if (by_replicate := values.get((arm["name"], _key(at)))) is not None
    ]


def over_replicates(values: Mapping[int, Sequence[float]], count: int, confidence: float) -> Interval:
    """Return the interval over replicates, each with the mean of its values."""
    means = [fmean(values[replicate]) if values.get(replicate) else None for replicate in range(count)]
    return interval(means, confidence)


def baseline_cell(results: Results, measure: str, at: Mapping[str, float | str] | None = None) -> Cell | None:
    """Return the baseline's cell at a place, or its only one; None if no baseline is there."""
    names = {arm["name"] for arm in arms_of(results, "baseline")}
    baselines = [cell for cell in cells(results, measure) if cell["arm"] in names]
    here = [cell for cell in baselines if at is not None and cell["at"] == at]
    return next(iter(here or baselines), None)


def _key(at: Mapping[str, float | str]) -> tuple[Any, ...]:
    return tuple(sorted(at.items()))


def _spaced(name: str) -> str:
    return name.replace("_", " ")
