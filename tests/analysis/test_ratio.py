"""Fieller's interval, by its definition: the ratios that a paired t-test does not reject."""

import numpy as np
import pytest
from scipy import stats

from lth.analysis.ratio import ratio_of_means


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_its_ends_are_where_the_paired_test_turns(seed: int, confidence: float) -> None:
    draw = np.random.default_rng(seed)
    below = draw.normal(2.0, 0.4, 6)
    above = 0.6 * below + draw.normal(0.1, 0.3, 6)
    found = ratio_of_means(above.tolist(), below.tolist(), confidence)
    assert found is not None
    assert found["mean"] == pytest.approx(above.mean() / below.mean())
    assert found["low"] is not None
    assert found["high"] is not None
    assert found["low"] < above.mean() / below.mean() < found["high"]
    for end in (found["low"], found["high"]):
        p = stats.ttest_1samp(above - end * below, 0.0).pvalue
        assert p == pytest.approx(1 - confidence, abs=1e-9)


def test_there_is_none_where_the_denominator_is_not_settled_above_zero() -> None:
    above = [1.0, 2.0, 1.5]
    assert ratio_of_means(above, [1.0, -1.0, 0.5], 0.95) is None
    assert ratio_of_means(above, [-2.0, -2.1, -2.2], 0.95) is None
    assert ratio_of_means(above, [1.0, 1.0, 1.0], 0.95) is None  # all alike: no spread to judge by
    assert ratio_of_means([1.0], [2.0], 0.95) is None
    assert ratio_of_means([1.0, None, 1.2], [2.0, 2.1, None], 0.95) is None


def test_pairs_that_miss_one_are_left_out() -> None:
    known = ratio_of_means([1.0, 1.3, 1.2], [2.0, 2.1, 2.2], 0.95)
    assert ratio_of_means([1.0, 1.3, None, 1.2, 9.0], [2.0, 2.1, 5.0, 2.2, None], 0.95) == known
