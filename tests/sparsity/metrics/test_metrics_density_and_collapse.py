"""Density, and layers without a weight."""

import warnings

import pytest
import torch

from lth.sparsity import Masks
from lth.sparsity.metrics import collapsed, density, density_by_tensor, warn_of_collapse

MASKS: Masks = {
    "a": torch.tensor([[True, False], [False, False]]),
    "b": torch.zeros(2, 3, dtype=torch.bool),
    "c": torch.ones(6, dtype=torch.bool),
    "d": torch.zeros(1, 4, dtype=torch.bool),
}


def test_density_by_hand() -> None:
    assert density(MASKS) == 7 / 20
    assert density_by_tensor(MASKS) == {"a": 0.25, "b": 0.0, "c": 1.0, "d": 0.0}
    assert density({}) == 1.0


def test_collapse_is_named_in_one_warning() -> None:
    assert collapsed(MASKS) == ["b", "d"]
    with pytest.warns(UserWarning, match="layer collapse: these tensors keep no weight.*: b, d") as caught:
        warn_of_collapse(MASKS)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="this tensor keeps no weight.*: b. Prune less"):
        warn_of_collapse({"b": MASKS["b"]})


def test_one_surviving_weight_is_no_collapse() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_collapse({"a": MASKS["a"], "c": MASKS["c"], "bias": torch.zeros(3, dtype=torch.bool)})
        warn_of_collapse({})
