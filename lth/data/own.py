"""Data from arrays in memory: the user's own data set, checked before anything is trained on it."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lth.data.arrays import Arrays
from lth.data.targets import TOKENS, targets_for, usual_task
from lth.data.types import Data
from lth.tasks.table import TASKS

AnyArray = NDArray[np.generic]
Given = Tensor | AnyArray
Inputs = Given | Mapping[str, Given]


def no_data() -> Data:
    """Return a data set without examples: for a training function and a measurement that bring their own."""
    empty = Arrays({"x": torch.zeros(0)})
    return Data("its-own-data", {"train": empty, "validation": empty, "test": empty}, task="yours")


def from_arrays(
    x_train: Inputs,
    y_train: Given,
    x_test: Inputs,
    y_test: Given,
    name: str = "arrays",
    scale: float | None = None,
    *,
    x_validation: Inputs | None = None,
    y_validation: Given | None = None,
    task: str | None = None,
) -> Data:
    """Return a checked copy of the arrays as a data set.

    Inputs are uint8, floating (every floating type becomes float32) or whole numbers (token ids, int64, taken as they
    are); several inputs are a dict of arrays, and batches have their names. What targets are decides the task:

    - whole numbers, (n,), each of 0 .. C - 1 in use in `y_train`, C at least 2: classification;
    - whole numbers, (n, position), of the shape of integer inputs: language-model, where -100 does not count;
    - floats, (n, ...): regression, unless they are nothing but the whole numbers of a classification.

    Args:
        x_train: (n, *input_shape), or a dict of such arrays.
        y_train: (n, ...), targets.
        x_test: (m, *input_shape), of the same types as `x_train`.
        y_test: (m, ...).
        name: a short name for reports.
        scale: inputs are `x * scale`; whole numbers are left alone. Default: 1/255 for uint8 examples of two dimensions
            or more (images), else 1.
        x_validation: the source's own validation part, (k, *input_shape).
        y_validation: (k, ...).
        task: an entry of TASKS, where it shall not follow from the targets.
    Raises:
        ValueError: if types, shapes, targets or the task do not fit, or a number is not finite.

    Example:
        >>> import numpy as np
        >>> from_arrays(np.zeros((4, 3)), np.array([0, 1, 0, 1]), np.ones((2, 3)), np.array([0, 1]))
        Data('arrays': 4 train, 2 test examples; input_shape (3,), num_classes 2; for classification)
    """
    given: dict[str, tuple[Inputs, Given]] = {"train": (x_train, y_train), "test": (x_test, y_test)}
    if x_validation is not None and y_validation is not None:
        given["validation"] = (x_validation, y_validation)
    elif x_validation is not None or y_validation is not None:
        one, other = ("x", "y") if y_validation is None else ("y", "x")
        raise ValueError(f"{one}_validation is given without {other}_validation: give both or neither")
    inputs = {part: _inputs(x, f"x_{part}") for part, (x, _) in given.items()}
    targets = {part: _numbers(y, f"y_{part}") for part, (_, y) in given.items()}
    for part, arrays in inputs.items():
        _check_lengths(arrays, targets[part], part)
        _check_alike(inputs["train"], arrays, part)
    task = usual_task(inputs["train"], targets["train"]) if task is None else task
    TASKS.pick(task)
    if task in TOKENS:  # bytes are tokens too
        inputs = {
            part: {name: array.astype(np.int64) if array.dtype == np.uint8 else array for name, array in arrays.items()}
            for part, arrays in inputs.items()
        }
    checked, facts = targets_for(task, inputs, targets)
    scales = _scales(inputs["train"], scale)
    parts = {
        part: Arrays({name: torch.from_numpy(array) for name, array in (arrays | {"y": checked[part]}).items()}, scales)
        for part, arrays in inputs.items()
    }
    return Data(name, parts, facts, task)


def _as_numpy(values: Given) -> AnyArray:
    if isinstance(values, Tensor):
        tensor = values.detach().cpu()
        # numpy has no bfloat16
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return np.asarray(values)


def _inputs(values: Inputs, role: str) -> dict[str, AnyArray]:
    if not isinstance(values, Mapping):
        return {"x": _input(values, role)}
    if not values or "y" in values:
        raise ValueError(f"{role} is a dict of {', '.join(values) or 'nothing'}: name inputs, and none of them y")
    return {str(name): _input(array, f"{role}[{name!r}]") for name, array in values.items()}


def _input(values: Given, role: str) -> AnyArray:
    array = _as_numpy(values)
    if array.ndim == 0:
        raise ValueError(f"{role} is a single number: give an array with one example a row")
    if array.dtype == np.uint8:
        return np.array(array, dtype=np.uint8, order="C")
    if array.dtype.kind in "iu":
        if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise ValueError(f"{role} has the number {array.max()}, which int64 does not hold")
        return np.array(array, dtype=np.int64, order="C")
    if array.dtype.kind != "f":
        raise ValueError(
            f"{role} is {array.dtype}: inputs are uint8, floating or whole numbers. Convert it, for example with "
            ".astype('float32')"
        )
    with np.errstate(over="ignore"):  # what overflows is seen just below
        floats = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(floats).all():
        count = int((~np.isfinite(floats)).sum())
        raise ValueError(f"{role} has {count} values that are not finite as float32: replace NaN and infinity first")
    return floats


def _numbers(values: Given, role: str) -> AnyArray:
    array = _as_numpy(values)
    if array.dtype.kind not in "iubf":
        raise ValueError(
            f"{role} is {array.dtype}: targets are numbers. "
            "Number the classes with numpy.unique(labels, return_inverse=True)"
        )
    if array.ndim == 0:
        raise ValueError(f"{role} is a single number: give one target per example")
    return array


def _check_lengths(arrays: Mapping[str, AnyArray], targets: AnyArray, part: str) -> None:
    for name, array in arrays.items():
        role = f"x_{part}" if len(arrays) == 1 else f"{name} of x_{part}"
        if len(array) != len(targets):
            raise ValueError(
                f"{role} has {len(array)} examples and y_{part} has {len(targets)} targets: give one target per example"
            )
        if len(array) == 0:
            raise ValueError(f"{role} has no examples: give at least one")


def _check_alike(train: Mapping[str, AnyArray], other: Mapping[str, AnyArray], part: str) -> None:
    if train.keys() != other.keys():
        raise ValueError(
            f"x_train has the inputs {', '.join(train)} and x_{part} {', '.join(other)}: give both the same"
        )
    for name, array in train.items():
        prefix = "" if len(train) == 1 else f"{name}: "
        if array.shape[1:] != other[name].shape[1:]:
            raise ValueError(
                f"{prefix}examples of x_train have shape {array.shape[1:]} and those of x_{part} "
                f"{other[name].shape[1:]}: give both the same shape"
            )
        if array.dtype != other[name].dtype:
            raise ValueError(
                f"{prefix}x_train is {array.dtype} and x_{part} {other[name].dtype}: give both the same type"
            )


def _scales(arrays: Mapping[str, AnyArray], scale: float | None) -> dict[str, float]:
    """Return what each input is multiplied by; bytes always are, for they are taken as floats."""
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale is {scale}: give a finite number above 0, such as 1/255")
    scales = {}
    for name, array in arrays.items():
        if array.dtype == np.uint8:
            scales[name] = float((1 / 255 if array.ndim > 2 else 1.0) if scale is None else scale)
        elif array.dtype == np.float32 and scale not in (None, 1.0):
            scales[name] = float(scale)
    if scale is not None and all(array.dtype == np.int64 for array in arrays.values()):
        raise ValueError(f"scale is {scale}, but inputs are token ids, which are not multiplied: leave it out")
    return scales
