"""Parts of data: digests, pickling, batches."""

import hashlib
import json
import pickle
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lth.data import Arrays, Data, Examples, Subset, Windows, batches_of, split

CPU = torch.device("cpu")


def arrays() -> Arrays:
    x = torch.tensor([[1, 2], [3, 4], [5, 6]], dtype=torch.uint8)
    return Arrays({"x": x, "y": torch.tensor([0, 1, 1])}, {"x": 0.5})


def small() -> Data:
    parts = {"train": arrays(), "test": arrays().subset(torch.tensor([2, 0]))}
    return Data("small", parts, {"input_shape": (2,), "num_classes": 2})


def stream(length: int = 23) -> np.ndarray:
    return np.arange(length, dtype=np.uint16) * 7 % 50


def test_digests_are_the_documented_hashes() -> None:
    tensors = {
        "x": b'{"dtype": "torch.uint8", "shape": [3, 2]}' + bytes([1, 2, 3, 4, 5, 6]),
        "y": b'{"dtype": "torch.int64", "shape": [3]}' + bytes([0] * 8 + [1] + [0] * 7 + [1] + [0] * 7),
    }
    of_tensors = {name: hashlib.sha256(content).hexdigest() for name, content in tensors.items()}
    of_part = hashlib.sha256(json.dumps([{"x": 0.5}, of_tensors]).encode()).hexdigest()
    assert arrays().digest == of_part
    data = Data("d", {"train": arrays(), "test": arrays()})
    assert data.digest == hashlib.sha256(json.dumps({"test": of_part, "train": of_part}).encode()).hexdigest()


def test_digest_does_not_depend_on_name_facts_or_memory_layout() -> None:
    strided = arrays().tensors["x"].t().contiguous().t()
    assert not strided.is_contiguous()
    other = Data("other", {"train": Arrays({**arrays().tensors, "x": strided}, {"x": 0.5}), "test": arrays()})
    assert other.digest == Data("one", {"train": arrays(), "test": arrays()}, {"num_classes": 2}).digest


@pytest.mark.parametrize(
    "change",
    [
        {"scale": {"x": 0.25}},
        {"scale": {}},
        {"x": torch.tensor([[1, 2], [3, 4], [5, 7]], dtype=torch.uint8)},
        {"x": torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.uint8)},
        {"x": torch.tensor([[1, 2], [3, 4], [5, 6]], dtype=torch.int8)},
        {"y": torch.tensor([0, 1, 0])},
        {"z": torch.tensor([0, 1, 0])},
    ],
    ids=str,
)
def test_digest_sees_every_change(change: dict[str, object]) -> None:
    scale = change.pop("scale", {"x": 0.5})
    assert Arrays({**arrays().tensors, **change}, scale).digest != arrays().digest  # type: ignore[arg-type, dict-item]


def test_windows_see_every_change() -> None:
    digests = {
        Windows(tokens, block).digest
        for tokens, block in ((stream(), 4), (stream(), 5), (stream(22), 4), (stream().astype(np.uint32), 4))
    }
    assert len(digests) == 4
    swapped = stream()
    swapped[[3, 4]] = swapped[[4, 3]]
    assert Windows(swapped, 4).digest not in digests


def test_arrays_are_scaled_when_they_are_taken() -> None:
    batch = arrays().take(torch.tensor([2, 0]), CPU)
    assert torch.equal(batch["x"], torch.tensor([[2.5, 3.0], [0.5, 1.0]]))
    assert batch["y"].tolist() == [1, 0]
    assert batch["y"].dtype == torch.int64


def test_windows_follow_one_another() -> None:
    tokens = stream()
    windows = Windows(tokens, 5)
    assert len(windows) == 4  # 20 inputs and the token after the last; two more are left out
    batch = windows.take(torch.tensor([0, 3]), CPU)
    assert batch["x"].tolist() == [tokens[0:5].tolist(), tokens[15:20].tolist()]
    assert batch["y"].tolist() == [tokens[1:6].tolist(), tokens[16:21].tolist()]
    assert batch["x"].dtype == torch.int64
    assert [len(Windows(tokens[:length], 5)) for length in (0, 1, 5, 6, 10, 11)] == [0, 0, 0, 1, 1, 2]


def test_a_subset_is_the_same_as_its_copy() -> None:
    chosen = torch.tensor([2, 0])
    part, copy = Subset(arrays(), chosen), arrays().subset(chosen)
    for name, value in part.take(torch.tensor([1, 0]), CPU).items():
        assert torch.equal(value, copy.take(torch.tensor([1, 0]), CPU)[name])
    assert len(part) == len(copy) == 2
    assert (copy.num_bytes, part.num_bytes) == (2 * 2 + 2 * 8, 3 * 2 + 3 * 8 + 2 * 8)
    assert part.digest != Subset(arrays(), chosen.flip(0)).digest


def test_batches_cover_every_example_in_order() -> None:
    batches = list(batches_of(Windows(stream(), 3), 3))
    assert [len(batch["x"]) for batch in batches] == [3, 3, 1]
    assert torch.cat([batch["x"] for batch in batches]).flatten().tolist() == stream()[:21].tolist()


@pytest.mark.parametrize("is_known", [False, True])
def test_pickle_round_trip(is_known: bool) -> None:
    data = small()
    if is_known:
        assert data.digest
    copy = pickle.loads(pickle.dumps(data))
    assert copy.digest == data.digest
    assert (copy.name, copy.facts, copy.task) == (data.name, data.facts, data.task)
    assert copy.parts["train"].tensors["x"].dtype == torch.uint8
    for name, value in data.parts["train"].take(torch.arange(3), CPU).items():
        assert torch.equal(copy.parts["train"].take(torch.arange(3), CPU)[name], value)


def same(one: Examples, other: Examples) -> bool:
    indices = torch.arange(len(one))
    return len(one) == len(other) and torch.equal(one.take(indices, CPU)["y"], other.take(indices, CPU)["y"])


def test_streams_on_disk_are_pickled_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "tokens.bin"
    stream(40_000).tofile(path)
    mapped = np.memmap(path, dtype=np.uint16, mode="r", offset=10_000)
    for tokens in (mapped, mapped[:20_000], mapped[7_001:9_000]):
        windows = Windows(tokens, 50)
        content = pickle.dumps(windows)
        copy = pickle.loads(content)
        assert len(content) < 1000
        assert isinstance(copy.tokens, np.memmap)
        assert windows.num_bytes == 0
        assert same(windows, copy)
        assert copy.digest == windows.digest == Windows(np.array(tokens), 50).digest
    for tokens in (mapped[::2], mapped[:100] + np.uint16(1)):  # no plain piece of the file
        assert same(Windows(tokens, 50), pickle.loads(pickle.dumps(Windows(tokens, 50))))


def test_parts_of_a_split_can_be_pickled() -> None:
    data = Data("text", {"train": Windows(stream(), 2), "test": Windows(stream(9), 2)}, task="language-model")
    for name, part in split(data, 3).items():
        assert same(part, pickle.loads(pickle.dumps(part))), name


def test_frozen_and_short_repr() -> None:
    data = small()
    with pytest.raises(FrozenInstanceError):
        data.name = "other"  # type: ignore[misc]
    expected = "Data('small': 3 train, 2 test examples; input_shape (2,), num_classes 2; for classification)"
    assert repr(data) == expected
    assert data.tokens_per_example is None
    batch = data.examples("test")
    assert {name: len(values) for name, values in batch.items()} == {"x": 2, "y": 2}
    with pytest.raises(ValueError, match="unknown part 'tets'. Did you mean 'test'"):
        data.examples("tets")
    assert replace(data, facts={"block": 8}).tokens_per_example == 8
