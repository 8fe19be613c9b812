"""The ratio of two means that were measured in pairs, with its interval."""

import math
from collections.abc import Sequence

import numpy as np
import scipy

from lth.analysis.documents import Interval
from lth.analysis.statistics import paired_difference


def ratio_of_means(above: Sequence[float | None], below: Sequence[float | None], confidence: float) -> Interval | None:
    """Return the ratio of two means over pairs, with Fieller's interval: every ratio that a paired t-test allows.

    None where the mean of `below` is not settled above 0, with its whole Student interval of this confidence: such a
    ratio has no interval. `values` are empty: a ratio of each pair says nothing where one of them is near 0.

    Args:
        above: the numerator, one per replicate; None where there is none.
        below: the denominator.
        confidence: level of the interval, in (0, 1).

    Source: Fieller 1954, Journal of the Royal Statistical Society B 16(2).
    """
    pairs = [(a, b) for a, b in zip(above, below, strict=True) if a is not None and b is not None]
    bottom = paired_difference([b for _, b in pairs], [0.0] * len(pairs), confidence)
    low = bottom["low"]
    if low is None or low <= 0 or low == bottom["high"]:
        return None
    (a, b), n = np.mean(pairs, axis=0), len(pairs)
    (var_a, cov), (_, var_b) = np.cov(np.array(pairs).T) / n
    t = float(scipy.special.stdtrit(n - 1, (1 + confidence) / 2))
    ratio, g = a / b, t * t * var_b / (b * b)
    middle = ratio - g * cov / var_b
    half = t / b * math.sqrt(max(0.0, var_a - 2 * ratio * cov + ratio**2 * var_b - g * (var_a - cov**2 / var_b)))
    return Interval(
        mean=float(ratio), low=float((middle - half) / (1 - g)), high=float((middle + half) / (1 - g)), values=[]
    )
