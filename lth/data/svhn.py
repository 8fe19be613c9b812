"""SVHN: house numbers in the .mat files of their authors, from disk, or downloaded once."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lth.data.arrays import Arrays
from lth.data.download import download
from lth.data.normalise import measured_channels
from lth.data.places import mirrors, roots, target
from lth.data.types import Data

NAME = "svhn"
FILES = {
    "train_32x32.mat": "md5:e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "md5:eb5a983be6a315427106f1b164d9cef3",
}
"""The cropped digits: training part, then test part."""
PUBLIC = ("http://ufldl.stanford.edu/housenumbers/",)


def svhn(folder: Path | None = None, normalise: bool = True) -> Data:
    """Load SVHN: 73,257 training and 26,032 test images of digits, (3, 32, 32) uint8.

    `train_32x32.mat` and `test_32x32.mat` are looked for in FOLDER/svhn, FOLDER/SVHN and FOLDER itself, then in the
    same places of LTH_DATA_DIR; if there are none, they are downloaded into FOLDER/svhn (without a folder: the user's
    cache). In the files 10 stands for the digit 0.

    Args:
        folder: where data sets are kept.
        normalise: whether each channel is taken less its mean and over its deviation in the training part; else values
            are 0 to 1.
    Raises:
        ValueError: if a file is missing, damaged or another one, or the download fails.

    Source: Netzer, Wang, Coates, Bissacco, Wu & Ng 2011, "Reading digits in natural images with unsupervised feature
    learning".
    """
    place = locate_svhn(folder)
    if place is None:
        place = target(NAME, folder)
        download(FILES, place, mirrors(NAME, PUBLIC), NAME)
    arrays = {part: _read(place / file) for part, file in zip(("train", "test"), FILES, strict=True)}
    channels = {"x": measured_channels(arrays["train"]["x"])} if normalise else {}
    parts = {part: Arrays(tensors, {"x": 1 / 255}, channels) for part, tensors in arrays.items()}
    return Data(NAME, parts, {"input_shape": (3, 32, 32), "num_classes": 10})


def locate_svhn(folder: Path | None = None) -> Path | None:
    """Return the folder on disk that holds both files; None if there is none. Downloads nothing.

    Raises:
        ValueError: if a folder has one of them only.
    """
    for root in roots(folder):
        for place in (root / NAME, root / "SVHN", root):
            missing = [file for file in FILES if not (place / file).is_file()]
            if not missing:
                return place
            if len(missing) < len(FILES):
                raise ValueError(
                    f"{place} lacks {missing[0]} of {NAME}: put it there, or remove the other to have both downloaded"
                )
    return None


def _read(path: Path) -> dict[str, torch.Tensor]:
    from scipy.io import loadmat  # slow to import, and only needed here

    try:
        held: dict[str, Any] = loadmat(path, variable_names=("X", "y"))
    except Exception as error:  # of many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} cannot be read as a .mat file ({reason}): fetch the file again") from error
    x, y = held.get("X"), held.get("y")
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.ndim != 4 or x.shape[:3] != (32, 32, 3):
        raise ValueError(f"{path} has no X of uint8, (32, 32, 3, images): it is another file")
    labels = _labels(path, y, x.shape[3])
    images = np.ascontiguousarray(x.transpose(3, 2, 0, 1))  # (image, channel, height, width)
    return {"x": torch.from_numpy(images), "y": torch.from_numpy(labels)}


def _labels(path: Path, y: object, images: int) -> NDArray[np.int64]:
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "uif" or y.size != images or not images:
        raise ValueError(f"{path} has no y with a label for each of its {images} images: fetch the file again")
    labels = y.reshape(-1)
    if len(wrong := labels[~np.isin(labels, np.arange(11))]):
        raise ValueError(f"{path} has the label {wrong[0]}, expected 1 to 10: fetch the file again")
    return labels.astype(np.int64) % 10
