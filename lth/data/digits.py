"""The embedded digits: 1,797 images of 8 x 8 that come with scikit-learn, for tests and examples without a download."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lth.data.arrays import Arrays
from lth.data.order import epoch_order
from lth.data.types import Data

FILE = "datasets/data/digits.csv.gz"
"""Where scikit-learn keeps them."""


def digits(folder: Path | None = None) -> Data:
    """Load scikit-learn's handwritten digits: 1,077 training and 720 test images, (8, 8) uint8 in 0 .. 16, scale 1/16.

    The source has no split of its own. Ours is fixed and stratified: put the examples in the order
    `epoch_order(1797, seed=0, epoch=0)`, sort them by class keeping that order within a class, and take the first and
    the third of every five for the test set, which must be large enough to tell half a point. Both parts then go back
    to the order of the source.

    Args:
        folder: not needed: the images are part of scikit-learn.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
    """
    table = _table()
    x = torch.from_numpy(table[:, :-1].reshape(-1, 8, 8).astype(np.uint8))
    y = torch.from_numpy(table[:, -1].astype(np.int64))
    shuffled = epoch_order(len(y), seed=0, epoch=0)
    by_class = shuffled[torch.argsort(y[shuffled], stable=True)]
    is_test = torch.zeros(len(y), dtype=torch.bool)
    is_test[by_class[::5]] = is_test[by_class[2::5]] = True
    parts = {
        part: Arrays({"x": x[chosen], "y": y[chosen]}, scale={"x": 1 / 16})
        for part, chosen in (("train", ~is_test), ("test", is_test))
    }
    return Data("digits", parts, {"input_shape": (8, 8), "num_classes": 10})


def _table() -> NDArray[np.float64]:
    """Return a row for each image: 64 pixels and the class."""
    spec = find_spec("sklearn")  # importing it takes a second, its file a hundredth
    for folder in (spec and spec.submodule_search_locations) or ():
        if (file := Path(folder) / FILE).is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    source = load_digits()
    return np.column_stack([source.data, source.target])
