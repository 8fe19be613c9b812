import hashlib
import json
import pickle
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from lth.data import Data


def small() -> Data:
    return Data(
        name="small",
        x_train=torch.tensor([[1, 2], [3, 4], [5, 6]], dtype=torch.uint8),
        y_train=torch.tensor([0, 1, 1]),
        x_test=torch.tensor([[7, 8]], dtype=torch.uint8),
        y_test=torch.tensor([1]),
        num_classes=2,
        scale=0.5,
    )


def test_digest_is_the_documented_hash() -> None:
    parts = [
        b'{"scale": 0.5}',
        b'{"dtype": "torch.uint8", "role": "x_train", "shape": [3, 2]}' + bytes([1, 2, 3, 4, 5, 6]),
        b'{"dtype": "torch.int64", "role": "y_train", "shape": [3]}' + bytes([0] * 8 + [1] + [0] * 7 + [1] + [0] * 7),
        b'{"dtype": "torch.uint8", "role": "x_test", "shape": [1, 2]}' + bytes([7, 8]),
        b'{"dtype": "torch.int64", "role": "y_test", "shape": [1]}' + bytes([1] + [0] * 7),
    ]
    assert small().digest == hashlib.sha256(b"".join(parts)).hexdigest()


def test_digest_does_not_depend_on_name_or_memory_layout() -> None:
    data = small()
    strided = data.x_train.t().contiguous().t()
    assert not strided.is_contiguous()
    assert replace(data, name="other", x_train=strided).digest == data.digest


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0.25},
        {"x_train": torch.tensor([[1, 2], [3, 4], [5, 7]], dtype=torch.uint8)},
        {"x_train": torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.uint8)},
        {"x_train": torch.tensor([[1, 2], [3, 4], [5, 6]], dtype=torch.int8)},
        {"y_train": torch.tensor([0, 1, 0])},
        {"x_test": torch.tensor([[8, 7]], dtype=torch.uint8)},
        {"y_test": torch.tensor([0])},
    ],
    ids=str,
)
def test_digest_sees_every_change(change: dict[str, object]) -> None:
    data = small()
    before = data.digest
    assert replace(data, **change).digest != before  # type: ignore[arg-type]


def test_pickle_round_trip() -> None:
    data = small()
    for state in (data, pickle.loads(pickle.dumps(data))):  # before and after the digest is known
        copy = pickle.loads(pickle.dumps(state))
        assert copy.digest == data.digest
        assert (copy.name, copy.num_classes, copy.scale) == ("small", 2, 0.5)
        assert torch.equal(copy.x_train, data.x_train)
        assert copy.x_train.dtype == torch.uint8


def test_frozen_and_short_repr() -> None:
    data = small()
    with pytest.raises(FrozenInstanceError):
        data.name = "other"  # type: ignore[misc]
    assert repr(data) == "Data('small': 3 train and 1 test examples, 2 uint8 inputs, 2 classes)"
    assert json.dumps(data.input_shape) == "[2]"
