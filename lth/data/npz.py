"""The user's own data set in one numpy .npz file."""

import warnings
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lth.data.arrays_file import read_arrays
from lth.data.own import from_arrays
from lth.data.types import Data

NEEDED = ("x_train", "y_train", "x_test", "y_test")
ARRAYS = (*NEEDED, "x_validation", "y_validation")


def load_npz(path: Path, task: str | None = None, scale: float | None = None) -> Data:
    """Load a .npz file with the arrays x_train, y_train, x_test and y_test; Keras's mnist.npz is one.

    It may have a validation part of its own, as x_validation and y_validation. Types, shapes, targets, task and scale
    are as in `from_arrays`. Other arrays are left alone, with a warning that names them.

    Args:
        path: the file, as written by `numpy.savez` or `numpy.savez_compressed`.
        task: an entry of TASKS, where it shall not follow from the targets.
        scale: what inputs are multiplied by, where it shall not be the usual one.
    Raises:
        ValueError: if the file is missing or damaged, lacks an array, holds Python objects, or its arrays do not fit.
    """
    arrays = _read(path)
    missing = [name for name in NEEDED if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} lacks {', '.join(missing)}; found {', '.join(sorted(arrays)) or 'no arrays'}. Write it with "
            f"numpy.savez(path, {', '.join(f'{name}=...' for name in NEEDED)})"
        )
    unused = sorted(set(arrays) - set(ARRAYS))
    if unused:
        warnings.warn(f"{path}: {', '.join(unused)} not used; only {', '.join(ARRAYS)} are read", stacklevel=2)
    x_train, y_train, x_test, y_test = (arrays[name] for name in NEEDED)
    x_validation, y_validation = (arrays.get(name) for name in ARRAYS[4:])
    try:
        return from_arrays(
            x_train, y_train, x_test, y_test, path.stem, scale,
            x_validation=x_validation, y_validation=y_validation, task=task,
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    if not path.is_file():
        raise ValueError(f"no file {path}: give the path of a .npz file")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not a .npz file, or it is truncated: write it again with numpy.savez")
    try:
        return read_arrays(path, ARRAYS)  # arrays that are not ours may be objects, and are not read
    except ValueError as error:
        raise ValueError(f"{error}. Arrays are plain numbers, written with numpy.savez") from error
