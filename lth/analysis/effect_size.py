"""How large a paired difference is beside its own scatter."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

import scipy

from lth.analysis.statistics import are_alike, known_of


def cohens_dz(differences: Sequence[float | None]) -> float | None:
    """Return Cohen's d_z: the mean of paired differences over their standard deviation.

    None for fewer than two differences, and where all are alike.

    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, Section 2.3.5.
    """
    known = known_of(differences)
    if len(known) < 2 or are_alike(known):
        return None
    return fmean(known) / stdev(known)


def hedges_gz(differences: Sequence[float | None]) -> float | None:
    """Return Cohen's d_z without its bias, by Hedges' exact factor for n - 1 degrees of freedom.

    The factor is 0.80 for five pairs, 0.91 for ten; None for fewer than three pairs, where there is none.

    Source: Hedges 1981, Journal of Educational Statistics 6(2), Equation 6e; for pairs Gibbons, Hedeker & Davis 1993,
    Journal of Educational Statistics 18(3).
    """
    effect, freedom = cohens_dz(differences), len(known_of(differences)) - 1
    if effect is None or freedom < 2:
        return None
    logarithm = scipy.special.gammaln(freedom / 2) - scipy.special.gammaln((freedom - 1) / 2)
    return effect * math.exp(logarithm) / math.sqrt(freedom / 2)
