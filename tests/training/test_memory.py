"""How many members fit, from what a few of them take."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trainings import digits_split, member, recipe, small_net

from lth.training import members_that_fit
from lth.training.engines.memory import MARGIN, how_many_fit


def takes(shared: int, each: int, memory: int) -> Callable[[int], int]:
    """What members would take on a device with so much memory."""

    def peak(count: int) -> int:
        needed = shared + count * each
        if needed > memory:
            raise torch.OutOfMemoryError(f"Tried to allocate {needed} of {memory} bytes")
        return needed

    return peak


@pytest.mark.parametrize(
    ("shared", "each", "memory", "fits"),
    [
        (100, 10, 200, 8),  # 0.9 * 200 = 180: 8 take 180
        (0, 10, 200, 16),  # 18 would fit: 16 in three leading bits
        (0, 10, 350, 28),  # 31 would fit: 28
        (0, 10, 160, 14),  # 14 fit, and 14 has three bits
        (0, 100, 150, 1),  # two do not fit
        (0, 100, 350, 2),  # four do not fit
        (0, 100, 410, 3),  # four fit, but not within the margin
        (0, 100, 400, 3),
    ],
)
def test_by_hand(shared: int, each: int, memory: int, fits: int) -> None:
    assert how_many_fit(takes(shared, each, memory), memory) == fits


@given(
    shared=st.integers(0, 10**9),
    each=st.integers(1, 10**8),
    memory=st.integers(1, 10**11),
)
def test_what_fits_is_within_the_margin_and_not_far_from_it(shared: int, each: int, memory: int) -> None:
    peak = takes(shared, each, memory)
    fits = how_many_fit(peak, memory)
    assert fits >= 1
    if fits > 2:
        assert peak(fits) <= MARGIN * memory
    if shared + 4 * each <= memory:
        assert shared + (fits + 1) * 1.25 * each > MARGIN * memory - 1


def test_networks_that_take_nothing_measurable_fit_in_any_number() -> None:
    assert how_many_fit(lambda count: 0, 1000) == 896  # 900 in three leading bits


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_small_networks_fit_a_gpu_by_the_hundred() -> None:
    before = torch.random.get_rng_state()
    fits = members_that_fit(
        member(small_net, 1),
        small_net,
        digits_split(),
        recipe(),
        first_step=0,
        device=torch.device("cuda"),
        sparsifier=None,
        traces=(),
    )
    assert fits > 100
    assert torch.equal(torch.random.get_rng_state(), before)
