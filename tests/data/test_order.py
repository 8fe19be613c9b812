from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lth.data import Arrays, Rows, Subset, epoch_order, seeded_generator
from lth.data.order import bucketed_order, training_order


def test_golden_orders() -> None:
    # A change here changes every result that was ever trained: raise the version of the nodes with it.
    assert epoch_order(10, seed=0, epoch=0).tolist() == [4, 8, 2, 7, 9, 5, 1, 3, 0, 6]
    assert epoch_order(10, seed=0, epoch=1).tolist() == [0, 2, 6, 5, 8, 3, 7, 9, 1, 4]
    assert epoch_order(10, seed=1, epoch=0).tolist() == [8, 2, 0, 6, 4, 1, 3, 5, 9, 7]


@given(num_examples=st.integers(0, 300), seed=st.integers(-(2**70), 2**70), epoch=st.integers(0, 10**6))
def test_is_a_permutation_and_repeats(num_examples: int, seed: int, epoch: int) -> None:
    order = epoch_order(num_examples, seed, epoch)
    assert order.dtype == torch.int64
    assert torch.equal(order.sort().values, torch.arange(num_examples))
    assert torch.equal(order, epoch_order(num_examples, seed, epoch))


def test_differs_by_epoch_and_seed() -> None:
    orders = {tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(8) for epoch in range(8)}
    assert len(orders) == 64


def test_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    epoch_order(50, seed=3, epoch=4)
    assert torch.equal(torch.get_rng_state(), before)


def test_purposes_do_not_share_a_stream() -> None:
    first, second = (torch.rand(4, generator=seeded_generator(purpose, 1)) for purpose in ("a", "b"))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("num_examples", "epoch"), [(-1, 0), (5, -1)])
def test_negative_numbers_are_errors(num_examples: int, epoch: int) -> None:
    with pytest.raises(ValueError, match="neither may be negative"):
        epoch_order(num_examples, seed=0, epoch=epoch)


lengths_of_rows = st.lists(st.integers(1, 100), max_size=400)


def test_golden_bucketed_order() -> None:
    lengths = torch.tensor([5, 1, 9, 3, 7, 2, 8])
    assert bucketed_order(lengths, 2, seed=0, epoch=0).tolist() == [1, 3, 6, 2, 0, 4, 5]


@given(lengths=lengths_of_rows, batch_size=st.integers(1, 40), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_a_bucketed_order_is_a_permutation(lengths: list[int], batch_size: int, seed: int, epoch: int) -> None:
    order = bucketed_order(torch.tensor(lengths, dtype=torch.int64), batch_size, seed, epoch)
    assert torch.equal(order.sort().values, torch.arange(len(lengths)))
    left_out = len(lengths) % batch_size
    assert torch.equal(order[len(order) - left_out :], epoch_order(len(lengths), seed, epoch)[len(order) - left_out :])


def test_batches_of_a_bucketed_order_have_one_length_at_a_step_whatever_the_seed() -> None:
    lengths = torch.arange(3200) % 64  # of each length 50 examples: two chunks of fifty batches
    orders = torch.stack([bucketed_order(lengths, 32, seed, epoch=0) for seed in range(4)])
    assert len({tuple(order.tolist()) for order in orders}) == 4
    longest = lengths[orders].view(4, 100, 32).amax(2)
    assert int(longest.amax(0).sum()) < 1.1 * lengths.sum() / 32
    plain = torch.stack([lengths[epoch_order(3200, seed, 0)] for seed in range(4)]).view(4, 100, 32).amax(2)
    assert int(plain.amax(0).sum()) > 1.9 * lengths.sum() / 32


def test_neighbouring_batches_of_a_bucketed_order_differ_in_length() -> None:
    lengths = torch.arange(3200) % 64
    longest = lengths[bucketed_order(lengths, 32, 0, 0)].view(100, 32).amax(1).double()
    assert abs(float(torch.corrcoef(torch.stack([longest[1:], longest[:-1]]))[0, 1])) < 0.3


def test_only_who_asks_is_bucketed() -> None:
    rows = Rows(torch.zeros(10, dtype=torch.int32), torch.tensor([0, 4, 5, 7, 10]), torch.arange(4))
    chosen = Subset(rows, torch.tensor([3, 0, 1]))
    assert torch.equal(training_order(rows, 2, 1, 2), bucketed_order(rows.lengths, 2, 1, 2))
    assert torch.equal(training_order(chosen, 2, 1, 2), bucketed_order(torch.tensor([3, 4, 1]), 2, 1, 2))
    plain = replace(rows, is_bucketed=False)
    for part in (plain, Subset(plain, torch.arange(4)), Arrays({"y": torch.arange(4)})):
        assert torch.equal(training_order(part, 2, 1, 2), epoch_order(4, 1, 2))
    assert plain.digest != rows.digest
