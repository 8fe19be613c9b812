"""A study's subject beside its baseline and its controls, place by place."""

from collections.abc import Mapping
from dataclasses import dataclass

from lth.analysis.documents import ArmDocument, Interval, Results
from lth.analysis.reading import (
    BEST_STEP,
    Cell,
    Measure,
    Place,
    arms_of,
    baseline_cell,
    best_is_last,
    cells,
    metric_of,
    num_diverged,
    rows_of,
)
from lth.analysis.statistics import paired_difference

TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Rival:
    """A control, or a source, beside the subject at one place.

    Attributes:
        arm: what it is.
        value: its primary metric.
        difference: the subject's minus its own, paired.
        is_vacuous: whether it starts from the subject's own weights, so that it controls nothing.
        is_worse: whether the whole interval of the difference says so; None without an interval.
    """

    arm: ArmDocument
    value: Interval
    difference: Interval
    is_vacuous: bool
    is_worse: bool | None


@dataclass(frozen=True, slots=True)
class Early:
    """Early stopping of the subject and of the baseline; `censored` counts best steps that are the last step."""

    subject: Interval
    baseline: Interval
    difference: Interval
    censored: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The subject at one place.

    Attributes:
        at: the place.
        value: the subject's primary metric, and `baseline` that of the baseline.
        difference: subject minus baseline, paired.
        is_complete: whether no replicate of either diverged.
        matches: whether the mean is within the margin, or better, and better than a constant answer.
        confirmed: whether the whole interval is; None without an interval.
        rivals: controls and sources that ran here.
        early: None where there is no early stopping.
    """

    at: Place
    value: Interval
    baseline: Interval
    difference: Interval
    is_complete: bool
    matches: bool
    confirmed: bool | None
    rivals: tuple[Rival, ...]
    early: Early | None

    @property
    def controls(self) -> tuple[Rival, ...]:
        """Controls that control something and came to an end."""
        ran = (rival for rival in self.rivals if rival.arm["role"] == "control")
        return tuple(rival for rival in ran if not rival.is_vacuous and rival.value["mean"] is not None)

    @property
    def wins(self) -> bool:
        """Whether the match is confirmed and every control is worse with its whole interval."""
        return bool(self.confirmed and self.controls and all(control.is_worse for control in self.controls))


def compare(results: Results, *, margin: float) -> list[Comparison]:
    """Return the subject at each of its places, in order; empty without a subject or a baseline.

    Args:
        results: a results document; its verdict is not read.
        margin: what the primary metric may be worse by, in its own unit (fractions for accuracies).
    """
    metric = metric_of(results, "primary")
    subject = next(iter(arms_of(results, "subject")), None)
    if subject is None:
        return []
    primary = cells(results, "primary")
    steps = {(cell["arm"], tuple(cell["at"].items())): cell["interval"] for cell in cells(results, BEST_STEP)}
    comparisons = []
    for cell in (cell for cell in primary if cell["arm"] == subject["name"]):
        base = baseline_cell(results, "primary", cell["at"])
        if base is None:
            return []
        lost = num_diverged(rows_of(results, cell["arm"], cell["at"])) + num_diverged(
            rows_of(results, base["arm"], base["at"])
        )
        difference = paired_difference(cell["interval"]["values"], base["interval"]["values"], results["confidence"])
        above = _above_constant(cell["interval"], results, metric)
        mean, low = _gains(difference, metric)
        matches = lost == 0 and mean is not None and mean >= -margin - TOLERANCE and above[0]
        has_width = difference["low"] != difference["high"]
        confirmed = None if low is None else matches and has_width and low >= -margin - TOLERANCE and above[1]
        rivals = tuple(_rival(results, cell, other, metric) for other in primary if _is_rival(results, cell, other))
        early = _early(results, cell, base, steps)
        comparisons.append(
            Comparison(
                cell["at"], cell["interval"], base["interval"], difference, lost == 0, matches, confirmed, rivals, early
            )
        )
    return comparisons


def constant_gain(values: Interval, results: Results) -> Interval | None:
    """Return the difference of values from those of a constant answer; None where that is not known."""
    constant = results["constant"].get(results["primary"])
    if constant is None:
        return None
    return paired_difference(values["values"], [constant] * len(values["values"]), results["confidence"])


def beats_constant(values: Interval, results: Results) -> bool:
    """Return whether values are clearly better than a constant answer, or nothing is known of one.

    Clearly: with the whole interval; with the one value where there is one.
    """
    return _above_constant(values, results, metric_of(results, "primary"))[1]


def _above_constant(values: Interval, results: Results, metric: Measure) -> tuple[bool, bool]:
    """Return whether the mean is better than a constant answer, and whether the whole interval is."""
    difference = constant_gain(values, results)
    if difference is None:
        return True, True
    mean, low = _gains(difference, metric)
    return mean is not None and mean > 0, mean is not None and (mean if low is None else low) > 0


def _gains(difference: Interval, metric: Measure) -> tuple[float | None, float | None]:
    """Return the mean and the worse end of an interval, as improvements."""
    worse = difference["low"] if metric.better == "higher" else difference["high"]
    mean = difference["mean"]
    return None if mean is None else metric.gain(mean), None if worse is None else metric.gain(worse)


def _is_rival(results: Results, subject: Cell, other: Cell) -> bool:
    names = {arm["name"] for arm in arms_of(results, "control", "source")}
    return other["arm"] in names and other["at"] == subject["at"]


def _rival(results: Results, subject: Cell, other: Cell, metric: Measure) -> Rival:
    difference = paired_difference(subject["interval"]["values"], other["interval"]["values"], results["confidence"])
    _, low = _gains(difference, metric)
    arm = next(arm for arm in results["arms"] if arm["name"] == other["arm"])
    starts, own = (_starts(results, cell) for cell in (other, subject))
    is_vacuous = arm["role"] == "control" and any(own.get(replicate) == digest for replicate, digest in starts.items())
    is_worse = None if low is None else low > TOLERANCE and difference["low"] != difference["high"]
    return Rival(arm, other["interval"], difference, is_vacuous, is_worse)


def _starts(results: Results, cell: Cell) -> dict[int, str]:
    rows = rows_of(results, cell["arm"], cell["at"])
    return {row["replicate"]: row["start_digest"] for row in rows if row.get("start_digest")}


def _early(
    results: Results, cell: Cell, base: Cell, steps: Mapping[tuple[str, tuple[tuple[str, float | str], ...]], Interval]
) -> Early | None:
    subject, baseline = (steps[each["arm"], tuple(each["at"].items())] for each in (cell, base))
    if subject["mean"] is None or baseline["mean"] is None:
        return None
    difference = paired_difference(subject["values"], baseline["values"], results["confidence"])
    censored = [
        sum(map(best_is_last, rows_of(results, name, at)))
        for name, at in ((cell["arm"], cell["at"]), (base["arm"], base["at"]))
    ]
    return Early(subject, baseline, difference, (censored[0], censored[1]))
