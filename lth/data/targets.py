"""What targets are for: the task that follows from them, their checks, and the facts that they bring."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth.tasks.token_targets import IGNORED

CLASSES = ("classification", "sequence-classification")
TOKENS = ("language-model", "masked-language-model")
NUMBERS = ("regression", "sequence-regression")
"""Tasks by what their targets are."""

AnyArray = NDArray[np.generic]
ByPart = Mapping[str, AnyArray]


def usual_task(inputs: Mapping[str, AnyArray], targets: AnyArray) -> str:
    """Return the task that targets speak for; the rules are those of `from_arrays`."""
    if targets.dtype.kind != "f":
        is_token = targets.ndim > 1 and any(_is_tokens(array, targets) for array in inputs.values())
        return "language-model" if is_token else "classification"
    if targets.ndim == 1 and np.isfinite(targets).all():
        present = np.unique(targets)
        if len(present) > 1 and np.array_equal(present, np.arange(len(present))):
            return "classification"
    return "regression"


def targets_for(
    task: str, inputs: Mapping[str, Mapping[str, AnyArray]], targets: ByPart
) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Return checked targets by part, int64 or float32, and the facts of the data.

    Args:
        task: one that `lth` does not bring has only its numbers checked.
        inputs: by part, then by name.
        targets: by part.
    Raises:
        ValueError: if targets do not fit the task.
    """
    facts = _input_facts(inputs)
    if task in CLASSES:
        classes = {part: _classes(array, f"y_{part}") for part, array in targets.items()}
        return dict(classes), facts | {"num_classes": _num_classes(classes)}
    if task in TOKENS:
        tokens = {part: _tokens(array, inputs[part], part) for part, array in targets.items()}
        return dict(tokens), _token_facts(inputs, tokens)
    if task in NUMBERS or targets["train"].dtype.kind == "f":
        numbers = {part: _numbers(array, f"y_{part}") for part, array in targets.items()}
        for part, array in numbers.items():
            if array.shape[1:] != numbers["train"].shape[1:]:
                raise ValueError(
                    f"targets of y_train have shape {numbers['train'].shape[1:]} and those of y_{part} "
                    f"{array.shape[1:]}: give both the same shape"
                )
        return dict(numbers), facts | {"num_targets": math.prod(numbers["train"].shape[1:])}
    return {part: np.array(array, dtype=np.int64, order="C") for part, array in targets.items()}, facts


def _is_tokens(array: AnyArray, targets: AnyArray) -> bool:
    return array.dtype.kind in "iu" and array.ndim == 2 and array.shape == targets.shape


def _input_facts(inputs: Mapping[str, Mapping[str, AnyArray]]) -> dict[str, Any]:
    train = inputs["train"]
    if train.keys() != {"x"}:
        return {"input_shape": {name: array.shape[1:] for name, array in train.items()}}
    facts: dict[str, Any] = {"input_shape": train["x"].shape[1:]}
    if train["x"].dtype == np.int64 and train["x"].ndim == 2 and train["x"].shape[1]:
        largest = max(int(arrays["x"].astype(np.int64).max()) for arrays in inputs.values())
        facts |= {"vocabulary": max(0, largest) + 1, "block": train["x"].shape[1]}
    return facts


def _classes(array: AnyArray, role: str) -> NDArray[np.int64]:
    if array.ndim != 1:
        raise ValueError(
            f"{role} has shape {array.shape}: classes are one number an example, shape (n,); targets for each position "
            "have the shape of x, which then is whole numbers"
        )
    if array.dtype.kind == "f":
        is_integer = np.isfinite(array) & (array == np.floor(np.nan_to_num(array)))
        if not is_integer.all():
            raise ValueError(
                f"{role} has the class {array[~is_integer][0]}: classes are whole numbers, 0 to number of classes - 1"
            )
    return np.array(array, dtype=np.int64, order="C")


def _num_classes(classes: Mapping[str, NDArray[np.int64]]) -> int:
    present = np.unique(classes["train"])
    if present[0] != 0 or present[-1] != len(present) - 1:
        raise ValueError(
            f"y_train has {len(present)} different classes, from {present[0]} to {present[-1]}: classes are 0, 1, ..., "
            "number of classes - 1, each of them in use. Renumber them with numpy.unique(labels, return_inverse=True), "
            "or give task='regression'"
        )
    if len(present) < 2:
        raise ValueError("y_train has one class only: give at least two")
    for part, labels in classes.items():
        strangers = np.setdiff1d(labels, present)
        if len(strangers):
            raise ValueError(
                f"y_{part} has the class {strangers[0]}, which y_train never has: "
                f"classes are 0 to {len(present) - 1} here. Renumber all parts together"
            )
    return len(present)


def _numbers(array: AnyArray, role: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what overflows is seen just below
        floats = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(floats).all():
        count = int((~np.isfinite(floats)).sum())
        raise ValueError(f"{role} has {count} values that are not finite as float32: leave those examples out")
    return floats


def _tokens(array: AnyArray, inputs: Mapping[str, AnyArray], part: str) -> NDArray[np.int64]:
    if array.dtype.kind == "f" or array.ndim != 2:
        raise ValueError(
            f"y_{part} is {array.dtype} of shape {array.shape}: next tokens are whole numbers, shape (n, position)"
        )
    if not any(_is_tokens(each, array) for each in inputs.values()):
        found = ", ".join(f"{each.dtype} {each.shape}" for each in inputs.values())
        raise ValueError(f"y_{part} has shape {array.shape} and x_{part} {found}: tokens and targets have one shape")
    tokens = np.array(array, dtype=np.int64, order="C")
    if ((tokens < 0) & (tokens != IGNORED)).any():
        raise ValueError(f"y_{part} has the token {tokens.min()}: tokens count from 0; {IGNORED} does not count")
    return tokens


def _token_facts(
    inputs: Mapping[str, Mapping[str, AnyArray]], tokens: Mapping[str, NDArray[np.int64]]
) -> dict[str, Any]:
    largest = 0
    for part, targets in tokens.items():
        for name, array in inputs[part].items():
            if _is_tokens(array, targets):
                largest = max(largest, int(array.astype(np.int64).max()), int(targets.max()))
                if int(array.astype(np.int64).min()) < 0:
                    raise ValueError(f"{name} of x_{part} has a token below 0: tokens count from 0")
    return {"vocabulary": largest + 1, "block": tokens["train"].shape[1]}
