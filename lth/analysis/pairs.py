"""Differences between two arms, paired over replicates, of which several are tested together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lth.analysis.comparison import beats_constant
from lth.analysis.documents import Interval, Results, TableRow
from lth.analysis.facts import CONSTANT
from lth.analysis.numbers import percent, scale, show, show_paired
from lth.analysis.reading import Measure, baseline_cell, cells, metric_of, num_replicates
from lth.analysis.significance import p_of_mean, rejected
from lth.analysis.statistics import paired_difference

Values = Sequence[float | None]
"""One value for each replicate; None where there is none."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One difference.

    Attributes:
        difference: the first minus the second, with the interval of this one alone.
        gain: its mean as an improvement: above 0 is better, whatever the metric's direction; None where a replicate
            is missing, since those that did not diverge would speak for all.
        settled: whether Student's paired t-test rejects that it is 0, together with all others (Holm), and no
            replicate is missing.
    """

    difference: Interval
    gain: float | None
    settled: bool

    @property
    def is_complete(self) -> bool:
        """Whether every replicate has both."""
        return None not in self.difference["values"]

    @property
    def is_better(self) -> bool:
        """Whether the first is better, and that is settled."""
        return self.settled and self.gain is not None and self.gain > 0

    @property
    def is_worse(self) -> bool:
        """Whether the first is worse, and that is settled."""
        return self.settled and self.gain is not None and self.gain < 0

    def is_within(self, metric: Measure, margin: float) -> bool:
        """Return whether the first is worse by no more than the margin, with the whole interval, which has a width."""
        worse = self.difference["low" if metric.better == "higher" else "high"]
        has_width = self.difference["low"] != self.difference["high"]
        return worse is not None and has_width and self.is_complete and metric.gain(worse) >= -margin


def values_by_place(results: Results, axis: str, measure: str = "primary") -> dict[tuple[str, float | str], Interval]:
    """Return the values of each arm at each place of an axis, over replicates."""
    return {(cell["arm"], cell["at"].get(axis, "")): cell["interval"] for cell in cells(results, measure)}


def compare_pairs(differing: Sequence[tuple[Values, Values]], metric: Measure, confidence: float) -> list[Pair]:
    """Return the difference of each two, and whether it is settled among all of them.

    Args:
        differing: first and second; values of one replicate stand at the same place of both.
        metric: what they are values of.
        confidence: of the intervals, and of the tests together.
    """
    differences = [paired_difference(first, second, confidence) for first, second in differing]
    missing = [None in each["values"] for each in differences]
    p_values = [1.0 if lacks else p_of_mean(each["values"]) for each, lacks in zip(differences, missing, strict=True)]
    return [
        Pair(each, None if lacks or each["mean"] is None else metric.gain(each["mean"]), holds)
        for each, lacks, holds in zip(differences, missing, rejected(p_values, 1 - confidence), strict=True)
    ]


def pair_in_words(pair: Pair, results: Results, metric: Measure | None = None) -> str:
    """Return a difference in words: '+0.31 points (95 % interval 0.10 to 0.52), settled'."""
    difference = pair.difference
    if difference["mean"] is None:
        return "nothing to compare: every replicate diverged"
    shown = show_paired(difference, metric or metric_of(results, "primary"), results["confidence"])
    if not pair.is_complete:
        values = difference["values"]
        known = len(values) - values.count(None)
        return f"{shown} in {known} of {len(values)} replicates (a network of the others diverged), not settled"
    if difference["low"] is None:
        return f"{shown} in one replicate"
    return f"{shown}, {'settled' if pair.settled else 'not settled'}"


def how_tested(count: int, results: Results) -> str:
    """Return what 'settled' means, in a sentence for the end of a verdict."""
    if num_replicates(results) == 1:
        return "One replicate, so observations and no claims: nothing is settled."
    together = f"{count} differences together (Holm)" if count > 1 else "this one difference"
    return (
        f"Settled: Student's paired t-test over replicates, at {percent(results['confidence'])} for {together}; "
        "intervals are those of each difference alone."
    )


def unlearned(results: Results) -> list[str]:
    """Return a sentence where the baseline does not clearly beat a constant answer, so that nothing is a finding."""
    base = baseline_cell(results, "primary")
    if base is None or base["interval"]["mean"] is None or beats_constant(base["interval"], results):
        return []
    metric, constant = metric_of(results, "primary"), results["constant"][results["primary"]]
    return [
        f"No finding: the {base['arm']} network's {metric.name} of {show(base['interval']['mean'], metric)} is not "
        f"clearly better than the {show(constant, metric)} of {CONSTANT}. Train longer, or at another --lr."
    ]


def rows_by_replicate(difference: Interval, metric: Measure, **place: float | str) -> Iterator[TableRow]:
    """Give the difference of each replicate as a row of a table that a figure shows; of fractions in points."""
    for replicate, value in enumerate(difference["values"]):
        if value is not None:
            yield {**place, "replicate": replicate, "difference": scale(metric) * value}
