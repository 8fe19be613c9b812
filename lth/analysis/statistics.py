"""Means and intervals over replicates."""

import math
from collections.abc import Sequence
from typing import TypedDict

from scipy import stats


class Interval(TypedDict):
    """A mean over replicates with its confidence interval; values by replicate, None where one diverged."""

    mean: float | None
    low: float | None
    high: float | None
    values: list[float | None]


def interval(values: Sequence[float | None], confidence: float) -> Interval:
    """The mean of the values that exist and its two-sided Student-t interval (None for fewer than two values).

    Args:
        values: one per replicate.
        confidence: level of the interval, in (0, 1).

    Source: Student 1908, Biometrika 6(1).
    """
    found = [value for value in values if value is not None]
    n = len(found)
    if n == 0:
        return Interval(mean=None, low=None, high=None, values=list(values))
    mean = math.fsum(found) / n
    if n == 1:
        return Interval(mean=mean, low=None, high=None, values=list(values))
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in found) / (n - 1))
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * deviation / math.sqrt(n)
    return Interval(mean=mean, low=mean - half, high=mean + half, values=list(values))


def paired_difference(values: Sequence[float | None], baseline: Sequence[float | None], confidence: float) -> Interval:
    """The interval of value minus baseline, replicate by replicate: what replicates share cancels out."""
    pairs = zip(values, baseline, strict=True)
    return interval([None if a is None or b is None else a - b for a, b in pairs], confidence)
