"""BCa intervals beside all resamples of few values, by Efron's formulas."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from lth.analysis.bootstrap import bca_interval


def exact_bca(values: list[float], confidence: float) -> tuple[float, float]:
    """The interval over all n^n resamples: Efron & Tibshirani 1993, An Introduction to the Bootstrap, Section 14.3."""
    mean = np.mean(values)
    means = np.sort([np.mean(each) for each in product(values, repeat=len(values))])
    below = (np.mean(means < mean - 1e-12) + np.mean(means <= mean + 1e-12)) / 2
    shift = stats.norm.ppf(below)  # 14.14; ties count half
    left_out = [np.mean(values[:index] + values[index + 1 :]) for index in range(len(values))]
    away = np.mean(left_out) - left_out
    acceleration = np.sum(away**3) / (6 * np.sum(away**2) ** 1.5)  # 14.15
    tails = [shift + stats.norm.ppf(share) for share in ((1 - confidence) / 2, (1 + confidence) / 2)]
    shares = [stats.norm.cdf(shift + tail / (1 - acceleration * tail)) for tail in tails]  # 14.10
    low, high = np.quantile(means, shares)
    return float(low), float(high)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 4.0, 8.0, 16.0], [0.3, -0.1, 0.2, 0.25, 0.9], [-5.0, -4.0, -4.5, -4.2, -1.0]]
)
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_it_is_efrons(values: list[float], confidence: float) -> None:
    found, expected = bca_interval([*values, None], confidence), exact_bca(values, confidence)
    assert found == pytest.approx(expected, abs=0.02 * (max(values) - min(values)))  # of 9,999 draws


def test_it_leans_to_the_side_of_the_long_tail() -> None:
    skewed = [0.0, 0.1, 0.2, 0.1, 0.0, 0.3, 2.0, 0.2]
    low, high = bca_interval(skewed, 0.95) or (0.0, 0.0)
    mean = np.mean(skewed)
    assert high - mean > 1.5 * (mean - low)


def test_the_draw_is_fixed_and_few_values_are_handled() -> None:
    values = [0.5, 0.7, 0.4, 0.9]
    assert bca_interval(values, 0.95) == bca_interval(values, 0.95)
    assert bca_interval([0.5], 0.95) is bca_interval([None], 0.95) is None
    assert bca_interval([0.25, 0.25, 0.25], 0.95) == (0.25, 0.25)
    assert bca_interval([1.0, 2.0], 0.95) == (1.0, 2.0)
