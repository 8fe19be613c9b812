"""Layer shares by outliers."""

from typing import Any

import pytest
import torch
from torch import nn

from lth.config import Pruning
from lth.sparsity import SCOPES, Evidence, Network, prune
from lth.sparsity.owl import layer_counts, outlier_shares
from lth.tasks import Regression


def test_layer_shares_of_a_hand_computed_example() -> None:
    """Two layers of 100: 4 % and no outliers; densities are 0.5 + 0.08 and 0.5 - 0.08."""
    sizes = {"a": 100, "b": 100}
    assert layer_counts(sizes, sizes, [0.04, 0.0], 0.5) == pytest.approx([58.0, 42.0])
    # of unlike sizes the mean over weights is kept: 0.5 * 400 = 200 = 100 (m + 0.16) + 300 m, so m = 0.46
    sizes = {"a": 100, "b": 300}
    assert layer_counts(sizes, sizes, [0.04, 0.0], 0.5) == pytest.approx([62.0, 138.0])
    # what earlier levels left bounds a share: a has 50, so b takes the other 150
    assert layer_counts(sizes, {"a": 50, "b": 300}, [0.04, 0.0], 0.5) == pytest.approx([50.0, 150.0])
    assert layer_counts(sizes, sizes, [0.02, 0.02], 0.25) == pytest.approx([25.0, 75.0])


def test_outliers_are_above_five_times_the_mean_of_kept_weights() -> None:
    values = torch.ones(1, 20)
    values[0, 0] = 7.0  # mean 1.3: five times it is 6.5
    evidence = Evidence({}, {}, torch.Generator())
    assert outlier_shares({"a": values}, evidence) == {"a": 1 / 20}
    mask = torch.ones(1, 20, dtype=torch.bool)
    mask[0, 4:] = False  # of four, mean 2.5: five times it is 12.5
    assert outlier_shares({"a": values}, Evidence({}, {}, torch.Generator(), masks={"a": mask})) == {"a": 0.0}


def evidence_of(module: nn.Module, masks: dict[str, Any]) -> Evidence:
    state = {name: value.detach().clone() for name, value in module.named_parameters()}
    batch = {"x": torch.eye(16), "y": torch.zeros(16, 1)}
    names = [name for name in state if name.endswith("weight")]
    end = {name: state[name] for name in names}

    def network() -> Network:
        return Network(module, state, state, batch, Regression())

    return Evidence(end, end, torch.Generator(), masks=masks, network=network)


def test_counts_are_exact_and_masks_nested_over_levels() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
    with torch.no_grad():
        module[0].weight[:2] *= 40  # outliers in the first layer only
    masks: dict[str, Any] = {}
    total = 16 * 32 + 32
    for level in range(1, 6):
        new = prune(evidence_of(module, masks), module, Pruning(scope="owl", rate=0.3, rates={}), level)
        assert sum(int(mask.sum()) for mask in new.values()) == int(total * 0.7**level + 0.5)
        assert all(bool((new[name] <= masks[name]).all()) for name in masks)
        if level == 1:
            first, last = (float(new[f"{index}.weight"].float().mean()) for index in (0, 2))
            assert first > last
            assert first - last == pytest.approx(0.16, abs=1 / 32)
        masks = new


def test_without_evidence_it_says_what_it_goes_with() -> None:
    with pytest.raises(ValueError, match="scope 'owl' looks at weights and activations"):
        SCOPES["owl"]({"a": torch.Size([2])}, 0.5, {})
