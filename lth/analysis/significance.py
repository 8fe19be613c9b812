"""P-values of paired differences, by Student's t and by permutation; corrections for many; what few pairs can show."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy

from lth.analysis.statistics import are_alike, known_of
from lth.config import Table

RESAMPLES = 9_999
SEED = 0


def p_of_mean(values: Sequence[float | None]) -> float:
    """Return the two-sided p-value of Student's t-test that a mean is 0; 1 for fewer than two values, or equal ones.

    Of paired differences it is the paired t-test.

    Source: Student 1908, Biometrika 6(1).
    """
    known = known_of(values)
    if len(known) < 2 or are_alike(known):
        return 1.0
    return float(scipy.stats.ttest_1samp(known, 0.0).pvalue)


def p_of_signs(differences: Sequence[float | None], resamples: int = RESAMPLES) -> float:
    """Return the two-sided p-value of the permutation test of paired differences: their signs are exchanged.

    Without an effect, each of the 2^n signs of n differences is as likely. It supposes no normal distribution, and
    cannot be below `smallest_p`. 1 for fewer than two differences.

    Args:
        differences: one per pair; None where there is none.
        resamples: where 2^n are no more than these (13 pairs), all of them are looked at; else this many are
            drawn, by a fixed seed.

    Source: Fisher 1935, The Design of Experiments, Section 21; Phipson & Smyth 2010, Statistical Applications in
    Genetics and Molecular Biology 9(1) (drawn signs: one is added to both counts).
    """
    known = known_of(differences)
    if len(known) < 2:
        return 1.0
    test = scipy.stats.permutation_test(
        (np.asarray(known),),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        random_state=np.random.default_rng(SEED),
    )
    return float(test.pvalue)


def smallest_p(pairs: int) -> float:
    """Return the smallest two-sided p-value that a permutation of the signs of this many pairs allows: 2 of 2^n.

    Five pairs cannot go below 0.0625.
    """
    return min(1.0, 2.0 ** (1 - pairs))


def pairs_for(level: float, tests: int = 1) -> int:
    """Return how many pairs a permutation of signs needs to reach a level, among this many tests by Holm."""
    pairs = 1
    while tests * smallest_p(pairs) > level:
        pairs += 1
    return pairs


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that a level holds for all tests together (family-wise error), however they depend.

    Source: Holm 1979, Scandinavian Journal of Statistics 6(2).
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def rejected(p_values: Sequence[float], level: float) -> list[bool]:
    """Return which hypotheses are rejected at a level that holds for all of them together, by `holm`."""
    return [p <= level for p in holm(p_values)]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that a level is the expected share of false ones among what is found.

    It holds for tests that are independent or depend positively, as those of levels of one search.

    Source: Benjamini & Hochberg 1995, Journal of the Royal Statistical Society B 57(1).
    """
    return [float(each) for each in scipy.stats.false_discovery_control(p_values, method="bh")] if p_values else []


Correction = Callable[[Sequence[float]], list[float]]

CORRECTIONS: Table[Correction] = Table("correction", {"holm": holm, "benjamini-hochberg": benjamini_hochberg})
"""How p-values are adjusted for the number of tests."""
