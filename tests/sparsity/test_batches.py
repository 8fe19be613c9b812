"""Which examples criteria see, and how they are cut into batches."""

import pytest
import torch

from lth.sparsity import batches, some_examples, split_batch
from lth.tasks import Classification, LanguageModel, Regression


def test_some_of_each_class() -> None:
    labels = torch.tensor([0] * 50 + [1] * 3 + [2] * 20)
    chosen = some_examples(labels, 73, 5, torch.Generator().manual_seed(0))
    assert torch.bincount(labels[chosen]).tolist() == [5, 3, 5]
    assert torch.equal(chosen, chosen.sort().values)
    assert torch.equal(chosen, some_examples(labels, 73, 5, torch.Generator().manual_seed(0)))
    assert not torch.equal(chosen, some_examples(labels, 73, 5, torch.Generator().manual_seed(1)))


def test_without_classes_ten_times_as_many() -> None:
    chosen = some_examples(None, 73, 5, torch.Generator().manual_seed(0))
    assert len(chosen.unique()) == 50
    assert torch.equal(chosen, chosen.sort().values)
    assert some_examples(None, 7, 5, torch.Generator()).tolist() == list(range(7))


def test_batches_hold_every_example_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 4)
    batch = {"x": torch.arange(10.0), "y": torch.arange(10.0)}
    parts = split_batch(batch, Regression())
    assert [len(part["x"]) for part in parts] == [4, 3, 3]
    assert torch.cat([part["x"] for part in parts]).sort().values.tolist() == list(range(10))
    assert all(torch.equal(part["x"], part["y"]) for part in parts)
    labels = torch.arange(12) // 4
    parts = split_batch({"x": torch.arange(12.0), "y": labels}, Classification(3))
    assert [part["y"].tolist() for part in parts] == [[0, 0, 1, 2], [0, 1, 1, 2], [0, 1, 2, 2]]


def test_long_sequences_run_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "WEIGHT", 16)
    tokens = {"x": torch.zeros(6, 8, dtype=torch.int64), "y": torch.zeros(6, 8, dtype=torch.int64)}
    assert [len(part["x"]) for part in split_batch(tokens, LanguageModel(3))] == [2, 2, 2]
    monkeypatch.setattr(batches, "WEIGHT", 1)
    assert len(split_batch(tokens, LanguageModel(3))) == 6
