"""Scikit-learn's diabetes data: 442 patients, for regression without a download."""

from pathlib import Path

import numpy as np
import torch

from lth.data.order import epoch_order
from lth.data.own import from_arrays
from lth.data.types import Data


def diabetes(folder: Path | None = None) -> Data:
    """Load 354 training and 88 test patients: ten features, and the progression of their disease after a year.

    Features are as scikit-learn ships them, centred and of length 1 over all patients. Targets are standardised: the
    mean of the training part's targets is taken off, and they are divided by its standard deviation; so an error of 1
    is that deviation. The source has no split of its own. Ours is fixed: the first fifth (rounded down) of
    `epoch_order(442, seed=0, epoch=0)` is the test set; both parts are in the order of the source.

    Args:
        folder: not needed: the data are part of scikit-learn.

    Source: B. Efron et al. 2004, "Least angle regression", Annals of Statistics 32.
    """
    from sklearn.datasets import load_diabetes  # slow to import, and only needed here

    x, y = load_diabetes(return_X_y=True)
    is_test = np.zeros(len(y), dtype=bool)
    is_test[epoch_order(len(y), seed=0, epoch=0)[: len(y) // 5].numpy()] = True
    targets = torch.from_numpy((y - y[~is_test].mean()) / y[~is_test].std())
    return from_arrays(x[~is_test], targets[~is_test], x[is_test], targets[is_test], "diabetes", task="regression")
