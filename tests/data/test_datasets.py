import pickle
from pathlib import Path

import pytest
import torch

from lth.data import DATASETS, Data, default_validation, load_data, split

# name -> training examples, test examples, shape of one, and the first digits of the digest: keys depend on it.
EXPECTED: dict[str, tuple[int, int, tuple[int, ...], str]] = {
    "digits": (1437, 360, (8, 8), "cc5f6caf3edaaf6a"),
    "mnist": (60_000, 10_000, (28, 28), "957bd438239f984a"),
    "fashion-mnist": (60_000, 10_000, (28, 28), "f2eecad6703e70bb"),
}


@pytest.fixture(params=sorted(DATASETS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def data(name: str, request: pytest.FixtureRequest) -> Data:
    folder: Path | None = None if name == "digits" else request.getfixturevalue("real_data_dir")
    return load_data(name, folder)


def test_contract(name: str, data: Data) -> None:
    num_train, num_test, shape, digest = EXPECTED[name]
    assert data.name == name
    assert (len(data.x_train), len(data.x_test), data.input_shape) == (num_train, num_test, shape)
    assert data.digest.startswith(digest)
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        assert x.dtype in (torch.uint8, torch.float32)
        assert y.dtype == torch.int64
        assert len(x) == len(y)
        assert set(y.tolist()) == set(range(data.num_classes))
    parts = split(data, default_validation(data), seed=0)
    assert parts.x_train.dtype == torch.float32
    assert (float(parts.x_train.min()), float(parts.x_train.max())) == (0.0, 1.0)
    assert len(parts.y_train) + len(parts.y_validation) == num_train
    assert pickle.loads(pickle.dumps(data)).digest == data.digest


def test_digits_split_is_stratified_and_complete() -> None:
    from sklearn.datasets import load_digits

    data = load_data("digits")
    source = load_digits()
    share = data.y_test.bincount() / (data.y_train.bincount() + data.y_test.bincount())
    assert torch.all((share - 0.2).abs() < 0.01)
    together = torch.cat([data.x_train, data.x_test]).flatten(1).tolist()
    assert sorted(together) == sorted(source.data.tolist())
    first = data.x_train[0].double().numpy()
    assert any((first == image).all() for image in source.images[source.target == int(data.y_train[0])])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mnsit", "unknown data set 'mnsit'. Did you mean 'mnist'. Choices: digits, mnist, fashion-mnist, or the"),
        ("MNIST", "Did you mean 'mnist'"),
        ("fashion_mnist", "Did you mean 'fashion-mnist'"),
        ("imagenet-22k-????", r"unknown data set 'imagenet-22k-\?\?\?\?'\. Choices: "),
    ],
)
def test_unknown_names(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_data(source)
