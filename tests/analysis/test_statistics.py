"""Intervals and paired differences, against numbers worked out by hand."""

import pytest
from scipy import stats

from lth.analysis.statistics import interval, paired_difference, proportion


def test_interval_by_hand() -> None:
    # mean 2, standard deviation 1, t(0.975, 2) = 4.302653: half-width 4.302653 / sqrt(3) = 2.484138
    found = interval([1.0, 2.0, 3.0], 0.95)
    assert found["mean"] == 2.0
    assert found["low"] == pytest.approx(2 - 2.484138, abs=1e-6)
    assert found["high"] == pytest.approx(2 + 2.484138, abs=1e-6)


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert interval([0.5], 0.95) == {"mean": 0.5, "low": None, "high": None, "values": [0.5]}
    assert interval([None, None], 0.95)["mean"] is None


def test_a_diverged_replicate_is_left_out_but_kept_in_place() -> None:
    found = interval([1.0, None, 3.0], 0.9)
    assert found["mean"] == 2.0
    assert found["values"] == [1.0, None, 3.0]


def test_pairing_removes_what_replicates_share() -> None:
    found = paired_difference([10.1, 20.1, None], [10.0, 20.0, 30.0], 0.95)
    assert found["mean"] == pytest.approx(0.1)
    assert found["high"] - found["low"] < 1e-9  # type: ignore[operator]
    assert found["values"][2] is None


def test_a_proportion_has_a_wilson_interval() -> None:
    """Against Wilson's formula as it stands in textbooks, and its roots: (p - share)^2 = z^2 p (1 - p) / n."""
    found = proportion([1, 0, 1, 1, None, 0, 1, 1], 0.95)
    assert found["mean"] == pytest.approx(5 / 7)
    z = stats.norm.ppf(0.975)
    for end in (found["low"], found["high"]):
        assert end is not None
        assert (end - 5 / 7) ** 2 == pytest.approx(z**2 * end * (1 - end) / 7)
    assert proportion([1, 1], 0.95)["high"] == 1
    assert proportion([0] * 8, 0.95)["low"] == 0
    assert proportion([0] * 8, 0.95)["high"] == pytest.approx(0.324, abs=1e-3)
    assert proportion([None], 0.95)["mean"] is None
