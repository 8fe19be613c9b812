"""Splits: validation examples held out of the training set, so that the test set never chooses anything."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lth.data.order import seeded_generator
from lth.data.types import Data


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A data set ready for training: inputs are floats, already multiplied by the scale.

    Attributes:
        x_train: (n - validation, *input_shape), floats.
        y_train: (n - validation,), int64.
        x_validation: (validation, *input_shape), floats; early stopping and selection use these.
        y_validation: (validation,), int64.
        x_test: (m, *input_shape), floats; read once a level, never used to choose.
        y_test: (m,), int64.
    """

    x_train: Tensor
    y_train: Tensor
    x_validation: Tensor
    y_validation: Tensor
    x_test: Tensor
    y_test: Tensor


def default_validation(data: Data) -> int:
    """The usual number of validation examples: 5,000, or a tenth of the training set where that is smaller.

    Source: Frankle & Carbin 2019, arXiv:1803.03635, appendix B (5,000 of MNIST's 60,000).
    """
    return max(1, min(5000, len(data.y_train) // 10))


def split(data: Data, validation: int, seed: int, dtype: torch.dtype = torch.float32) -> Split:
    """The data as float inputs, with `validation` examples held out of the training set.

    A permutation seeded by `seed` picks the held-out examples; those that remain keep their order.

    Args:
        data: the data set; it is not changed.
        validation: number of examples to hold out, at least 1: early stopping needs them.
        seed: seed of the permutation.
        dtype: floating type of the inputs.
    Raises:
        ValueError: if `validation` is below 1 or leaves nothing to train on, or `dtype` is not a floating type.
    """
    num_examples = len(data.y_train)
    if not 1 <= validation < num_examples:
        raise ValueError(
            f"cannot hold out {validation} validation examples of {num_examples} training examples of {data.name}. "
            f"Allowed: 1 to {num_examples - 1}; the usual number here is {default_validation(data)}"
        )
    if not dtype.is_floating_point:
        raise ValueError(f"inputs cannot be {dtype}: give a floating type, such as torch.float32")
    permutation = torch.randperm(num_examples, generator=seeded_generator("validation_split", seed))
    held_out = permutation[:validation].sort().values
    kept = permutation[validation:].sort().values
    return Split(
        x_train=_inputs(data.x_train[kept], data.scale, dtype),
        y_train=data.y_train[kept],
        x_validation=_inputs(data.x_train[held_out], data.scale, dtype),
        y_validation=data.y_train[held_out],
        x_test=_inputs(data.x_test, data.scale, dtype),
        y_test=data.y_test.clone(),
    )


def _inputs(x: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    # A copy always, even of floats with scale 1: training must not hold an alias of the data set.
    return x.to(dtype) * scale
