"""Means and intervals over replicates."""

import math
from collections.abc import Sequence

from scipy import stats

from lth.analysis.documents import Interval


def interval(values: Sequence[float | None], confidence: float) -> Interval:
    """Return the mean of the values that exist and its two-sided Student-t interval (None for fewer than two values).

    Values that are all alike give an interval without width.

    Args:
        values: one per replicate; None where there is none.
        confidence: level of the interval, in (0, 1).

    Source: Student 1908, Biometrika 6(1).
    """
    known = [value for value in values if value is not None]
    n = len(known)
    if n == 0:
        return Interval(mean=None, low=None, high=None, values=list(values))
    mean = math.fsum(known) / n
    if n == 1:
        return Interval(mean=mean, low=None, high=None, values=list(values))
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1))
    if max(known) - min(known) <= 1e-12 * max(1.0, abs(mean)):  # alike but for rounding
        return Interval(mean=mean, low=mean, high=mean, values=list(values))
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * deviation / math.sqrt(n)
    return Interval(mean=mean, low=mean - half, high=mean + half, values=list(values))


def proportion(values: Sequence[float | None], confidence: float) -> Interval:
    """Return the share of ones among values that are 0 or 1, with its Wilson score interval; None are left out.

    It stays within 0 and 1, and has a width where all are alike.

    Source: Wilson 1927, Journal of the American Statistical Association 22(158).
    """
    known = [value for value in values if value is not None]
    n = len(known)
    if n == 0:
        return Interval(mean=None, low=None, high=None, values=list(values))
    share, z = math.fsum(known) / n, float(stats.norm.ppf((1 + confidence) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(mean=share, low=max(0.0, centre - half), high=min(1.0, centre + half), values=list(values))


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Return which hypotheses are rejected at a level that holds for all of them together.

    Source: Holm 1979, Scandinavian Journal of Statistics 6(2).
    """
    rejected = [False] * len(p_values)
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > level / (len(p_values) - place):
            break
        rejected[index] = True
    return rejected


def p_of_mean(values: Sequence[float | None]) -> float:
    """Return the two-sided p-value of Student's t-test that a mean is 0; 1 for fewer than two values, or equal ones."""
    known = [value for value in values if value is not None]
    bounds = interval(known, 0.95)
    if bounds["low"] is None or bounds["low"] == bounds["high"]:
        return 1.0
    return float(stats.ttest_1samp(known, 0.0).pvalue)


def paired_difference(values: Sequence[float | None], baseline: Sequence[float | None], confidence: float) -> Interval:
    """Return the interval of value minus baseline, replicate by replicate: what replicates share cancels out."""
    pairs = zip(values, baseline, strict=True)
    return interval([None if a is None or b is None else a - b for a, b in pairs], confidence)
