"""Tests against a margin, beside those of statsmodels; effect sizes by hand."""

import math

import numpy as np
import pytest
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from lth.analysis.effect_size import cohens_dz, hedges_gz
from lth.analysis.equivalence import tost
from lth.analysis.significance import p_of_mean
from lth.analysis.statistics import interval

DIFFERENCES = (0.002, -0.001, 0.004, 0.001, 0.0005)


def test_tost_by_hand() -> None:
    """Mean 1.3, standard deviation sqrt(3.45) = 1.85742 in thousandths: t = (1.3 + 5) / 0.83066 = 7.584, 4 degrees.

    P(T > 7.584) = 0.00081 and P(T < -4.454) = 0.0056, by a table of Student's t (4.604 is its 0.005 point).
    """
    found = tost(DIFFERENCES, 0.005)
    assert found is not None
    assert found.above == pytest.approx(0.00081, abs=5e-6)
    assert found.below == found.p == pytest.approx(0.0056, abs=5e-5)


@pytest.mark.parametrize("margin", [0.001, 0.002, 0.005])
def test_tost_is_that_of_statsmodels(margin: float) -> None:
    found = tost(DIFFERENCES, margin)
    both, above, below = ttost_paired(np.asarray(DIFFERENCES), np.zeros(5), -margin, margin)
    assert found is not None
    assert (found.p, found.above, found.below) == pytest.approx((both, above[1], below[1]))


@pytest.mark.parametrize("margin", [0.0005, 0.0018, 0.0031, 0.004])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_both_sides_hold_where_the_interval_lies_within_the_margin(margin: float, confidence: float) -> None:
    """Alpha is half of what the two-sided interval leaves: 0.05 for 90 %, and 0.025 for 95 %."""
    found, bounds = tost([*DIFFERENCES, None], margin), interval(DIFFERENCES, confidence)
    assert found is not None
    assert bounds["low"] is not None
    assert bounds["high"] is not None
    alpha = (1 - confidence) / 2
    assert (found.above <= alpha) == (bounds["low"] >= -margin)
    assert (found.p <= alpha) == (-margin <= bounds["low"] and bounds["high"] <= margin)


def test_what_shows_no_scatter_or_has_no_margin() -> None:
    assert tost([0.1], 0.5) is tost([], 0.5) is tost([0.1, 0.1, 0.1], 0.5) is None
    with pytest.raises(ValueError, match="margin: equivalence needs one above 0; found 0"):
        tost(DIFFERENCES, 0.0)


def test_t_interval_and_p_are_those_of_statsmodels() -> None:
    theirs, ours = DescrStatsW(DIFFERENCES), interval(DIFFERENCES, 0.95)
    assert (ours["low"], ours["high"]) == pytest.approx(theirs.tconfint_mean(0.05))
    assert p_of_mean(DIFFERENCES) == pytest.approx(theirs.ttest_mean(0)[1])


def test_effect_sizes_of_students_sleep() -> None:
    """T = 4.0621 of 10 pairs: d_z = 4.0621 / sqrt(10) = 1.28456; Hedges' factor for 9 degrees is 0.9139 (1 - 3/35).

    The differences are those of Student 1908; d_z = t / sqrt(n) as in Lakens 2013, Frontiers in Psychology 4:863,
    Equation 7.
    """
    sleep = (1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4)
    assert cohens_dz(sleep) == pytest.approx(1.28456, abs=1e-5)
    assert hedges_gz(sleep) == pytest.approx(1.28456 * (1 - 3 / 35), rel=5e-4)


def test_hedges_factor_by_hand() -> None:
    """For 4 degrees G(2) / (sqrt(2) G(1.5)) = 1 / (sqrt(2) * 0.886227) = 0.797885."""
    effect, corrected = cohens_dz(DIFFERENCES), hedges_gz([*DIFFERENCES, None])
    assert effect is not None
    assert corrected is not None
    assert corrected / effect == pytest.approx(1 / (math.sqrt(2) * math.gamma(1.5)))


def test_no_effect_size_without_scatter() -> None:
    assert cohens_dz([1.0]) is cohens_dz([1.0, 1.0]) is cohens_dz([]) is None
    assert cohens_dz([1.0, 2.0]) == pytest.approx(1.5 / math.sqrt(0.5))
    assert hedges_gz([1.0, 2.0]) is None  # one degree of freedom: the factor is 0
