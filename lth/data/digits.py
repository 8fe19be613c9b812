"""The embedded digits: 1,797 images of 8 x 8 that come with scikit-learn, for tests and examples without a download."""

from pathlib import Path

import numpy as np
import torch

from lth.data.order import epoch_order
from lth.data.types import Data


def digits(folder: Path | None = None) -> Data:
    """Scikit-learn's handwritten digits: 1,437 training and 360 test images, (8, 8) uint8 in 0 .. 16, scale 1/16.

    The source has no split of its own. Ours is fixed and stratified: put the examples in the order
    `epoch_order(1797, seed=0, epoch=0)`, sort them by class keeping that order within a class, and take every fifth,
    beginning with the first, for the test set. Both parts then go back to the order of the source.

    Args:
        folder: not needed: the images are part of scikit-learn.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
    """
    from sklearn.datasets import load_digits  # slow to import, and only needed here

    source = load_digits()
    x = torch.from_numpy(source.images.astype(np.uint8))
    y = torch.from_numpy(source.target.astype(np.int64))
    shuffled = epoch_order(len(y), seed=0, epoch=0)
    by_class = shuffled[torch.argsort(y[shuffled], stable=True)]
    is_test = torch.zeros(len(y), dtype=torch.bool)
    is_test[by_class[::5]] = True
    return Data("digits", x[~is_test], y[~is_test], x[is_test], y[is_test], num_classes=10, scale=1 / 16)
