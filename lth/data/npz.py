"""The user's own data set in one numpy .npz file."""

import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lth.data.arrays import from_arrays
from lth.data.types import Data

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: Path) -> Data:
    """The data set in a .npz file with the arrays x_train, y_train, x_test and y_test; Keras's mnist.npz is one.

    Types, shapes, labels and the scale are as in `from_arrays`: uint8 images (examples of two dimensions or more) are
    multiplied by 1/255, floats are used as they are. Other arrays are left alone, with a warning that names them.

    Args:
        path: the file, as written by `numpy.savez` or `numpy.savez_compressed`.
    Raises:
        ValueError: if the file is missing or damaged, lacks an array, holds Python objects, or its arrays do not fit.
    """
    arrays = _read(path)
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} lacks {', '.join(missing)}; found {', '.join(sorted(arrays)) or 'no arrays'}. Write it with "
            f"numpy.savez(path, {', '.join(f'{name}=...' for name in ARRAYS)})"
        )
    unused = sorted(set(arrays) - set(ARRAYS))
    if unused:
        warnings.warn(f"{path}: {', '.join(unused)} not used; only {', '.join(ARRAYS)} are read", stacklevel=2)
    x_train, y_train, x_test, y_test = (arrays[name] for name in ARRAYS)
    try:
        return from_arrays(x_train, y_train, x_test, y_test, name=path.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    if not path.is_file():
        raise ValueError(f"no file {path}: give the path of a .npz file")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not a .npz file, or it is truncated: write it again with numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as stored:
            # Arrays that are not ours may be objects, and are not read.
            return {name: stored[name] if name in ARRAYS else np.empty(0) for name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be read: {error}. Arrays are plain numbers, written with numpy.savez"
        ) from error
