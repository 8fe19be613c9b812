import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lth.data import OWN, Arrays, Data, Examples, default_validation, split


def part(numbers: list[int]) -> Arrays:
    """Example i is the number i, and its target i modulo 2."""
    return Arrays({"x": torch.tensor(numbers).float().reshape(-1, 1), "y": torch.tensor(numbers) % 2})


def numbered(num_examples: int, own: int = 0) -> Data:
    parts = {"train": part(list(range(num_examples))), "test": part([100, 101])}
    return Data("numbered", parts | ({"validation": part(list(range(200, 200 + own)))} if own else {}))


def content(examples: Examples) -> list[int]:
    batch = examples.take(torch.arange(len(examples)), torch.device("cpu"))
    assert torch.equal(batch["x"].flatten().long() % 2, batch["y"])  # every target stayed with its example
    return [int(value) for value in batch["x"].flatten()]


@given(sizes=st.integers(2, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))), seed=st.integers())
def test_parts_are_disjoint_and_complete(sizes: tuple[int, int], seed: int) -> None:
    num_examples, validation = sizes
    parts = split(numbered(num_examples), validation, seed)
    assert len(parts["validation"]) == validation
    assert sorted(content(parts["train"]) + content(parts["validation"])) == list(range(num_examples))
    assert all(content(parts[name]) == sorted(content(parts[name])) for name in parts)


def test_golden_and_seeded() -> None:
    held_out = [content(split(numbered(20), 4, seed)["validation"]) for seed in (0, 0, 1)]
    assert held_out[0] == held_out[1] == [4, 6, 9, 15]
    assert held_out[2] != held_out[0]


def test_fewer_training_examples_are_some_of_all() -> None:
    every, few = split(numbered(20), 4), split(numbered(20), 4, train_examples=5)
    assert content(every["validation"]) == content(few["validation"])
    assert len(few["train"]) == 5
    assert set(content(few["train"])) < set(content(every["train"]))
    assert len(split(numbered(20), 4, train_examples=99)["train"]) == 16
    with pytest.raises(ValueError, match="cannot train on 0 examples of numbered"):
        split(numbered(20), 4, train_examples=0)


def test_the_sources_own_validation_part() -> None:
    data = numbered(20, own=3)
    assert default_validation(data) == OWN
    parts = split(data, OWN)
    assert parts["train"] is data.parts["train"]
    assert content(parts["validation"]) == [200, 201, 202]
    held_out = split(data, 4)
    assert content(held_out["validation"]) == [4, 6, 9, 15]
    assert len(held_out["train"]) == 16
    with pytest.raises(ValueError, match="numbered has no validation part of its own"):
        split(numbered(20), OWN)


@pytest.mark.parametrize("validation", [-1, 0, 10, 11])
def test_impossible_sizes(validation: int) -> None:
    with pytest.raises(ValueError, match=f"cannot hold out {validation} .* of 10 .* Allowed: 1 to 9"):
        split(numbered(10), validation, seed=0)


@pytest.mark.parametrize(("num_examples", "expected"), [(2, 1), (19, 1), (1078, 107), (49_999, 4_999), (60_000, 5_000)])
def test_default_validation(num_examples: int, expected: int) -> None:
    assert default_validation(numbered(num_examples)) == expected


def test_data_that_nothing_is_trained_on_come_as_they_are() -> None:
    measured = Arrays({"x": torch.arange(5), "y": torch.arange(5)})
    data = Data("measured", {"test": measured})
    assert default_validation(data) == OWN
    assert split(data, OWN) == {"test": measured}
