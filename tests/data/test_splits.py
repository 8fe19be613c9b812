import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lth.data import Data, default_validation, split


def numbered(num_examples: int, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> Data:
    """Example i is the number i, and its label i modulo 2."""
    return Data(
        name="numbered",
        x_train=torch.arange(num_examples).to(dtype).reshape(-1, 1),
        y_train=torch.arange(num_examples) % 2,
        x_test=torch.tensor([[100], [101]]).to(dtype),
        y_test=torch.tensor([0, 1]),
        num_classes=2,
        scale=scale,
    )


@given(sizes=st.integers(2, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))), seed=st.integers())
def test_parts_are_disjoint_and_complete(sizes: tuple[int, int], seed: int) -> None:
    num_examples, validation = sizes
    parts = split(numbered(num_examples), validation, seed)
    assert len(parts.y_validation) == validation
    together = torch.cat([parts.x_train, parts.x_validation]).flatten()
    assert torch.equal(together.sort().values, torch.arange(num_examples).float())
    for x, y in ((parts.x_train, parts.y_train), (parts.x_validation, parts.y_validation)):
        assert torch.equal(x.flatten().long() % 2, y)  # every label stayed with its example


def test_golden_and_seeded() -> None:
    data = numbered(20)
    held_out = [split(data, 4, seed).x_validation.flatten().tolist() for seed in (0, 0, 1)]
    assert held_out[0] == held_out[1] == [4.0, 6.0, 9.0, 15.0]
    assert held_out[2] != held_out[0]


def test_scale_and_dtype() -> None:
    parts = split(numbered(10, scale=1 / 16, dtype=torch.uint8), 3, seed=0, dtype=torch.float64)
    for x in (parts.x_train, parts.x_validation, parts.x_test):
        assert x.dtype == torch.float64
    assert parts.x_test.flatten().tolist() == [100 / 16, 101 / 16]


def test_holds_no_alias_of_the_data() -> None:
    data = numbered(10)
    before = data.x_train.clone(), data.x_test.clone(), data.y_train.clone(), data.y_test.clone()
    parts = split(data, 3, seed=0)
    for tensor in (parts.x_train, parts.x_validation, parts.x_test, parts.y_train, parts.y_validation, parts.y_test):
        tensor.fill_(7)
    after = data.x_train, data.x_test, data.y_train, data.y_test
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("validation", [-1, 0, 10, 11])
def test_impossible_sizes(validation: int) -> None:
    with pytest.raises(ValueError, match=f"cannot hold out {validation} .* of 10 .* Allowed: 1 to 9"):
        split(numbered(10), validation, seed=0)


def test_integer_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"cannot be torch\.int64"):
        split(numbered(10), 3, seed=0, dtype=torch.int64)


@pytest.mark.parametrize(("num_examples", "expected"), [(2, 1), (19, 1), (1437, 143), (49_999, 4_999), (60_000, 5_000)])
def test_default_validation(num_examples: int, expected: int) -> None:
    assert default_validation(numbered(num_examples)) == expected
