"""Means and intervals over replicates."""

import math
from collections.abc import Sequence

import scipy

from lth.analysis.documents import Interval


def known_of(values: Sequence[float | None]) -> list[float]:
    """Return the values that exist."""
    return [value for value in values if value is not None]


def are_alike(known: Sequence[float]) -> bool:
    """Return whether values are the same but for rounding: they say nothing of their spread."""
    return max(known) - min(known) <= 1e-12 * max(1.0, abs(math.fsum(known) / len(known)))


def interval(values: Sequence[float | None], confidence: float) -> Interval:
    """Return the mean of the values that exist and its two-sided Student-t interval (None for fewer than two values).

    Values that are all alike give an interval without width.

    Args:
        values: one per replicate; None where there is none.
        confidence: level of the interval, in (0, 1).

    Source: Student 1908, Biometrika 6(1).
    """
    known = known_of(values)
    n = len(known)
    if n == 0:
        return Interval(mean=None, low=None, high=None, values=list(values))
    mean = math.fsum(known) / n
    if n == 1:
        return Interval(mean=mean, low=None, high=None, values=list(values))
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1))
    if are_alike(known):
        return Interval(mean=mean, low=mean, high=mean, values=list(values))
    half = float(scipy.special.stdtrit(n - 1, (1 + confidence) / 2)) * deviation / math.sqrt(n)
    return Interval(mean=mean, low=mean - half, high=mean + half, values=list(values))


def proportion(values: Sequence[float | None], confidence: float) -> Interval:
    """Return the share of ones among values that are 0 or 1, with its Wilson score interval; None are left out.

    It stays within 0 and 1, and has a width where all are alike.

    Source: Wilson 1927, Journal of the American Statistical Association 22(158).
    """
    known = known_of(values)
    n = len(known)
    if n == 0:
        return Interval(mean=None, low=None, high=None, values=list(values))
    share, z = math.fsum(known) / n, float(scipy.special.ndtri((1 + confidence) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(mean=share, low=max(0.0, centre - half), high=min(1.0, centre + half), values=list(values))


def paired_difference(values: Sequence[float | None], baseline: Sequence[float | None], confidence: float) -> Interval:
    """Return the interval of value minus baseline, replicate by replicate: what replicates share cancels out."""
    pairs = zip(values, baseline, strict=True)
    return interval([None if a is None or b is None else a - b for a, b in pairs], confidence)
