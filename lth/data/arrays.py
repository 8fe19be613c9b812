"""Data from arrays in memory: the user's own data set, checked before anything is trained on it."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lth.data.types import Data

AnyArray = NDArray[np.generic]


def from_arrays(
    x_train: Tensor | AnyArray,
    y_train: Tensor | AnyArray,
    x_test: Tensor | AnyArray,
    y_test: Tensor | AnyArray,
    name: str = "arrays",
    scale: float | None = None,
) -> Data:
    """A checked copy of the arrays as a data set.

    Args:
        x_train: (n, *input_shape), uint8 or floating; every floating type becomes float32.
        y_train: (n,), whole numbers; each of 0 .. C - 1 occurs, with C at least 2.
        x_test: (m, *input_shape), of the same type as `x_train`.
        y_test: (m,), whole numbers in 0 .. C - 1.
        name: a short name for reports.
        scale: inputs are `x * scale`. Default: 1/255 for uint8 examples of two dimensions or more (images), else 1.
    Raises:
        ValueError: if types, shapes or labels do not fit, or an input is not finite.

    Example:
        >>> import numpy as np
        >>> from_arrays(np.zeros((4, 3)), np.array([0, 1, 0, 1]), np.ones((2, 3)), np.array([0, 1]))
        Data('arrays': 4 train and 2 test examples, 3 float32 inputs, 2 classes)
    """
    inputs_train, inputs_test = _inputs(x_train, "x_train"), _inputs(x_test, "x_test")
    labels_train, labels_test = _labels(y_train, "y_train"), _labels(y_test, "y_test")
    for part, inputs, labels in (("train", inputs_train, labels_train), ("test", inputs_test, labels_test)):
        if len(inputs) != len(labels):
            raise ValueError(
                f"x_{part} has {len(inputs)} examples and y_{part} has {len(labels)} labels: give one label an example"
            )
        if len(labels) == 0:
            raise ValueError(f"x_{part} has no examples: give at least one")
    if inputs_train.shape[1:] != inputs_test.shape[1:]:
        raise ValueError(
            f"examples of x_train have shape {inputs_train.shape[1:]} and those of x_test {inputs_test.shape[1:]}: "
            "give both the same shape"
        )
    if inputs_train.dtype != inputs_test.dtype:
        raise ValueError(f"x_train is {inputs_train.dtype} and x_test {inputs_test.dtype}: give both the same type")
    num_classes = _num_classes(labels_train, labels_test)
    if scale is None:
        scale = 1 / 255 if inputs_train.dtype == np.uint8 and inputs_train.ndim > 2 else 1.0
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale is {scale}: give a finite number above 0, such as 1/255")
    return Data(
        name=name,
        x_train=torch.from_numpy(inputs_train),
        y_train=torch.from_numpy(labels_train),
        x_test=torch.from_numpy(inputs_test),
        y_test=torch.from_numpy(labels_test),
        num_classes=num_classes,
        scale=float(scale),
    )


def _as_numpy(values: Tensor | AnyArray) -> AnyArray:
    if isinstance(values, Tensor):
        tensor = values.detach().cpu()
        # numpy has no bfloat16
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return np.asarray(values)


def _inputs(values: Tensor | AnyArray, name: str) -> AnyArray:
    array = _as_numpy(values)
    if array.ndim == 0:
        raise ValueError(f"{name} is a single number: give an array with one example a row")
    if array.dtype == np.uint8:
        return np.array(array, dtype=np.uint8, order="C")
    if array.dtype.kind != "f":
        raise ValueError(
            f"{name} is {array.dtype}: inputs are uint8 or floating. Convert it, for example with .astype('float32')"
        )
    with np.errstate(over="ignore"):  # what overflows is found just below
        floats = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(floats).all():
        count = int((~np.isfinite(floats)).sum())
        raise ValueError(f"{name} has {count} values that are not finite as float32: replace NaN and infinity first")
    return floats


def _labels(values: Tensor | AnyArray, name: str) -> NDArray[np.int64]:
    array = _as_numpy(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}: labels are one number an example, shape (n,)")
    if array.dtype.kind not in "iubf":
        raise ValueError(
            f"{name} is {array.dtype}: labels are whole numbers. "
            "Number the classes with numpy.unique(labels, return_inverse=True)"
        )
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (array == np.floor(np.nan_to_num(array)))
        if not whole.all():
            first = array[~whole][0]
            raise ValueError(f"{name} has the label {first}: labels are whole numbers, 0 to number of classes - 1")
    return np.array(array, dtype=np.int64, order="C")


def _num_classes(train: NDArray[np.int64], test: NDArray[np.int64]) -> int:
    present = np.unique(train)
    if present[0] != 0 or present[-1] != len(present) - 1:
        raise ValueError(
            f"y_train has {len(present)} different labels, from {present[0]} to {present[-1]}: labels are 0, 1, ..., "
            "number of classes - 1, each of them in use. Renumber them with numpy.unique(labels, return_inverse=True)"
        )
    if len(present) < 2:
        raise ValueError("y_train has one class only: give at least two")
    strangers = np.setdiff1d(test, present)
    if len(strangers):
        raise ValueError(
            f"y_test has the label {strangers[0]}, which y_train never has: "
            f"labels are 0 to {len(present) - 1} here. Renumber both parts together"
        )
    return len(present)
