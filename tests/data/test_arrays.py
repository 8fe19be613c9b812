from typing import Any

import numpy as np
import pytest
import torch

from lth.data import from_arrays


def arrays(**changes: Any) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    good: dict[str, Any] = {
        "x_train": generator.normal(size=(6, 3)).astype(np.float32),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": generator.normal(size=(2, 3)).astype(np.float32),
        "y_test": np.array([2, 0]),
    }
    return good | changes


def test_numpy_and_torch_give_the_same_data() -> None:
    from_numpy = from_arrays(**arrays())
    tensors: dict[str, Any] = {role: torch.from_numpy(array) for role, array in arrays().items()}
    from_torch = from_arrays(**tensors)
    assert from_numpy.digest == from_torch.digest
    assert (from_numpy.num_classes, from_numpy.scale, from_numpy.input_shape) == (3, 1.0, (3,))
    assert torch.equal(from_numpy.x_train, torch.from_numpy(arrays()["x_train"]))


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f8"])
def test_floats_become_float32(dtype: str) -> None:
    data = from_arrays(**arrays(x_train=np.full((6, 3), 0.5, dtype=dtype), x_test=np.full((2, 3), 2.0, dtype=dtype)))
    assert data.x_train.dtype == torch.float32
    assert set(data.x_train.flatten().tolist()) == {0.5}


def test_bfloat16_tensors() -> None:
    x = torch.full((6, 3), 0.5, dtype=torch.bfloat16)
    data = from_arrays(**arrays(x_train=x))
    assert data.x_train.dtype == torch.float32
    assert set(data.x_train.flatten().tolist()) == {0.5}


@pytest.mark.parametrize("dtype", ["uint8", "int16", ">i4", "float32"])
def test_label_types(dtype: str) -> None:
    data = from_arrays(**arrays(y_train=np.array([0, 1, 2, 0, 1, 2], dtype=dtype)))
    assert data.y_train.dtype == torch.int64
    assert data.y_train.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(("shape", "scale"), [((2, 2), 1 / 255), ((1, 2, 2), 1 / 255), ((4,), 1.0)])
def test_scale_of_bytes(shape: tuple[int, ...], scale: float) -> None:
    x_train, x_test = np.zeros((6, *shape), np.uint8), np.zeros((2, *shape), np.uint8)
    assert from_arrays(**arrays(x_train=x_train, x_test=x_test)).scale == scale
    assert from_arrays(**arrays(x_train=x_train, x_test=x_test), scale=0.5).scale == 0.5


def test_keeps_no_alias() -> None:
    given = arrays()
    data = from_arrays(**given)
    before = data.x_train.clone()
    given["x_train"][:] = 9
    given["y_train"][:] = 0
    assert torch.equal(data.x_train, before)
    assert data.y_train.tolist() == [0, 1, 2, 0, 1, 2]


def test_read_only_and_strided_arrays() -> None:
    x = np.asfortranarray(arrays()["x_train"])
    x.flags.writeable = False
    assert from_arrays(**arrays(x_train=x)).digest == from_arrays(**arrays()).digest


X = np.zeros((6, 3), np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": X[:5]}, "x_train has 5 examples and y_train has 6 labels"),
        ({"x_test": X[:1]}, "x_test has 1 examples and y_test has 2 labels"),
        ({"x_test": X[:0], "y_test": np.array([], np.int64)}, "x_test has no examples"),
        ({"x_train": X[:0], "y_train": np.array([], np.int64)}, "x_train has no examples"),
        ({"x_test": X[:2, :2]}, r"shape \(3,\) and those of x_test \(2,\)"),
        ({"x_test": X[:2].astype(np.uint8)}, "x_train is float32 and x_test uint8"),
        ({"x_train": X.astype(np.int64)}, "x_train is int64: inputs are uint8 or floating"),
        ({"x_train": np.array(1.0)}, "x_train is a single number"),
        ({"x_train": np.where(np.eye(6, 3) > 0, np.nan, X)}, "x_train has 3 values that are not finite"),
        ({"x_test": np.full((2, 3), 1e300)}, "x_test has 6 values that are not finite"),
        ({"y_train": np.zeros((6, 3), np.int64)}, r"y_train has shape \(6, 3\)"),
        ({"y_train": np.array(list("abcabc"))}, "y_train is <U1: labels are whole numbers"),
        ({"y_train": np.array([0, 1, 2, 0, 1, 1.5])}, "y_train has the label 1.5"),
        ({"y_train": np.array([0, 1, 2, 0, 1, np.inf])}, "y_train has the label inf"),
        ({"y_train": np.array([1, 2, 3, 1, 2, 3])}, "3 different labels, from 1 to 3"),
        ({"y_train": np.array([0, 1, 3, 0, 1, 3])}, "3 different labels, from 0 to 3"),
        ({"y_train": np.array([0, 1, -1, 0, 1, 2])}, "4 different labels, from -1 to 2"),
        ({"y_train": np.zeros(6, np.int64), "y_test": np.zeros(2, np.int64)}, "one class only"),
        ({"y_test": np.array([0, 3])}, "y_test has the label 3, which y_train never has: labels are 0 to 2"),
        ({"scale": 0.0}, "scale is 0.0"),
        ({"scale": float("nan")}, "scale is nan"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_arrays(**arrays(**changes))
