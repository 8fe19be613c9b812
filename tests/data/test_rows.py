"""Rows of tokens: padded to the longest of a batch, evaluated shortest first."""

import pytest
import torch

from lth.data import Arrays, Rows, Subset
from lth.data.types import evaluation_batches

CPU = torch.device("cpu")
LENGTHS = (3, 1, 4, 2)


def rows() -> Rows:
    starts = torch.tensor([0, *LENGTHS]).cumsum(0)
    types = torch.tensor([0, 0, 1, 0, 0, 0, 1, 1, 0, 1], dtype=torch.uint8)
    return Rows(torch.arange(11, 21, dtype=torch.int32), starts, torch.tensor([0, 1, 1, 0]), types, pad=7)


def test_a_batch_is_padded_to_its_longest() -> None:
    batch = rows().take(torch.tensor([1, 0]), CPU)
    assert batch["input_ids"].tolist() == [[14, 7, 7], [11, 12, 13]]
    assert batch["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0], [0, 0, 1]]
    assert batch["y"].tolist() == [1, 0]
    assert {value.dtype for value in batch.values()} == {torch.int64}


@pytest.mark.parametrize("field", ["tokens", "starts", "y", "types"])
def test_the_digest_is_of_everything(field: str) -> None:
    changed = getattr(rows(), field).clone()
    changed[1] += 1
    parts = {name: getattr(rows(), name) for name in ("tokens", "starts", "y", "types")} | {"pad": 7}
    assert Rows(**parts).digest == rows().digest
    assert Rows(**parts | {field: changed}).digest != rows().digest
    assert Rows(**parts | {"types": None}).digest != rows().digest


def test_an_evaluation_takes_rows_shortest_first_within_so_many_tokens() -> None:
    found = [batch.tolist() for batch in evaluation_batches(rows(), size=3, tokens=6)]
    assert found == [[1, 3], [0], [2]]
    assert [batch.tolist() for batch in evaluation_batches(rows(), size=3, tokens=99)] == [[1, 3, 0], [2]]
    assert [batch.tolist() for batch in evaluation_batches(rows(), size=3, tokens=1)] == [[1], [3], [0], [2]]
    chosen = Subset(rows(), torch.tensor([2, 1]))
    assert [batch.tolist() for batch in evaluation_batches(chosen, size=3, tokens=99)] == [[1, 0]]


def test_an_evaluation_takes_other_examples_in_order() -> None:
    arrays = Arrays({"y": torch.arange(5)})
    assert [batch.tolist() for batch in evaluation_batches(arrays, size=2, tokens=1)] == [[0, 1], [2, 3], [4]]
    assert evaluation_batches(Subset(arrays, torch.arange(0)), 2, 1) == []
