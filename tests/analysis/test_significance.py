"""P-values against examples of textbooks and papers, and against statsmodels."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lth.analysis.significance import (
    CORRECTIONS,
    benjamini_hochberg,
    holm,
    p_of_mean,
    p_of_signs,
    pairs_for,
    smallest_p,
)

DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)
"""Cross-fertilised minus self-fertilised maize, eighths of an inch: Fisher 1935, The Design of Experiments, Table 3."""

SLEEP = (1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4)
"""Hours of sleep gained by one drug over another: Student 1908, Biometrika 6(1), Section IX."""

MYOCARDIAL = (
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590,
    1.0000,
)  # fmt: skip
"""P-values of 15 hypotheses: Benjamini & Hochberg 1995, Section 4.2."""


def test_signs_of_darwins_maize_as_fisher_counted_them() -> None:
    """Section 21: in 863 of 32,768 cases the sum is at least 314; doubled, 5.267 %."""
    assert p_of_signs(DARWIN, resamples=2**15) == 2 * 863 / 2**15
    assert p_of_mean(DARWIN) == pytest.approx(0.0497, abs=5e-5)  # t = 2.148, Section 17


def test_students_sleep() -> None:
    """T = 4.0621 on 9 degrees of freedom; of the 1,024 signs none but these and their opposite are as extreme.

    One difference is 0, whose sign changes nothing: 4 of 1,024.
    """
    assert p_of_mean(SLEEP) == pytest.approx(0.00283289, abs=1e-8)
    assert p_of_signs(SLEEP) == 4 / 1024


def test_signs_by_hand() -> None:
    """Means of (+-1 +-2 +-3) / 3: 6, 4, 2, 0, 0, -2, -4, -6; at least as far out as 4: four of eight."""
    assert p_of_signs([1.0, None, 2.0, 3.0]) == 2 / 8
    assert p_of_signs([-1.0, 2.0, 3.0]) == 4 / 8
    assert p_of_signs([]) == p_of_signs([None]) == p_of_signs([0.1]) == p_of_signs([0.0, 0.0]) == 1.0


def test_many_pairs_are_drawn_and_the_draw_is_fixed() -> None:
    values = np.random.default_rng(3).normal(0.5, 1.0, 16)
    drawn, exact = p_of_signs(values.tolist()), p_of_signs(values.tolist(), resamples=2**16)
    assert drawn == p_of_signs(values.tolist())
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact / 9_999))
    assert drawn != exact


@pytest.mark.parametrize("pairs", [1, 2, 5, 8])
def test_no_p_is_smaller_than_so_many_pairs_allow(pairs: int) -> None:
    assert p_of_signs([1.0 + 0.1 * each for each in range(pairs)]) == smallest_p(pairs) == min(1, 2 / 2**pairs)


def test_how_many_pairs_would_do() -> None:
    """Two of 2^n: 0.0625 for five, 0.03125 for six; for ten tests by Holm 0.005 is needed, and 2 / 2^9 is below."""
    assert (smallest_p(5), smallest_p(6)) == (0.0625, 0.03125)
    assert (pairs_for(0.05), pairs_for(0.05, 10), pairs_for(0.01)) == (6, 9, 8)


def test_holm_by_hand() -> None:
    """0.01 * 3, 0.02 * 2, 0.03 * 1; never less than the one before, never above 1."""
    assert holm([0.03, 0.01, 0.02]) == [0.04, 0.03, 0.04]
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_benjamini_and_hochberg_find_four_where_holm_finds_three() -> None:
    """As in their paper, at 0.05."""
    assert sum(p <= 0.05 for p in benjamini_hochberg(MYOCARDIAL)) == 4
    assert sum(p <= 0.05 for p in holm(MYOCARDIAL)) == 3
    assert benjamini_hochberg([]) == []


@pytest.mark.parametrize(("name", "theirs"), [("holm", "holm"), ("benjamini-hochberg", "fdr_bh")])
@pytest.mark.parametrize("seed", range(3))
def test_corrections_are_those_of_statsmodels(name: str, theirs: str, seed: int) -> None:
    p_values = np.random.default_rng(seed).beta(0.3, 1, 12).round(2).tolist()  # some are equal
    expected = multipletests(p_values, method=theirs)[1]
    assert CORRECTIONS[name](p_values) == pytest.approx(list(expected))


def test_p_values_are_of_the_t_test() -> None:
    assert p_of_mean([0.1, None, 0.2, 0.4]) == stats.ttest_1samp([0.1, 0.2, 0.4], 0).pvalue
    assert p_of_mean([0.1]) == p_of_mean([0.2, 0.2]) == p_of_mean([None, None]) == 1.0
