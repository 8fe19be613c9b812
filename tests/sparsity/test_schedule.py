"""Schedules over rounds."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lth.sparsity import SCHEDULES, after_equal_steps

RATES = {
    "iterative": [0.2, 0.2, 0.2, 0.2, 0.2, 0.2],
    "one-shot": [0.2, 0.2, 0.2, 0.2, 0.2, 0.2],
    "increasing": [0.2, 0.4, 0.6, 0.8, 0.8, 0.8],
    "decreasing": [0.2, 0.1, 0.2 / 3, 0.05, 0.04, 0.2 / 6],
    "list": [0.5, 0.1, 0.3, 0.2, 0.6, 0.4],
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_by_hand(name: str) -> None:
    schedule, listed = SCHEDULES[name], RATES["list"]
    assert [schedule.rate(0.2, level, listed) for level in range(1, 7)] == pytest.approx(RATES[name])
    density = 1.0
    for level, rate in enumerate(RATES[name], 1):
        density *= 1 - rate
        assert schedule.density(0.2, level, listed) == pytest.approx(density)
    assert schedule.density(0.2, 0, listed) == 1
    assert [schedule.source(level) for level in (1, 2, 3)] == ([0, 0, 0] if name == "one-shot" else [0, 1, 2])


def test_five_ten_fifteen_twenty() -> None:
    rates = [SCHEDULES["increasing"].rate(0.05, level, ()) for level in (1, 2, 3, 4, 5)]
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2])


def test_a_short_list_is_named() -> None:
    with pytest.raises(ValueError, match="level_rates holds 2 rates, level 3 needs one more"):
        SCHEDULES["list"].density(0.2, 3, [0.1, 0.2])


def test_steps_of_all_weights() -> None:
    assert [after_equal_steps(0.1, level) for level in range(10)] == [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert after_equal_steps(0.25, 3) == 0.25
    for per_level, level, most in ((0.1, 10, 9), (0.1, 11, 9), (0.3, 4, 3), (0.6, 2, 1)):
        with pytest.raises(ValueError, match=f"leaves none at level {level}: ask for at most {most}, or give a rate"):
            after_equal_steps(per_level, level)


@given(st.sampled_from(sorted(SCHEDULES)), st.floats(0.001, 0.999))
def test_density_falls_and_stays_positive(name: str, rate: float) -> None:
    densities = [SCHEDULES[name].density(rate, level, [rate] * 12) for level in range(13)]
    assert all(0 < later < earlier for earlier, later in pairwise(densities))
