"""In single precision the sparse engine strays from the exact numbers no more than torch does, and ends as well."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sparse_trainings import largest_difference, train_one
from trainings import lenet, member, short_training

from lth.training import Member

SEEDS = range(10)


def run(one: Member, engine: str, **fields: Any) -> Any:
    return train_one(one, lenet(), short_training(**fields), engine=engine)


@pytest.mark.parametrize("density", [None, 0.2])
def test_single_precision_is_as_exact_as_torchs(density: float | None) -> None:
    """Largest difference of any weight after 100 steps of LeNet, medians over 10 seeds."""
    fields: dict[str, Any] = {"steps": 100, "evaluate_every": 100, "lr": 1.2e-3}
    own, torchs = [], []
    for seed in SEEDS:
        one = member(lenet, seed, density=density)
        single = run(one, "torch", **fields).weights
        exact = run(one, "torch", precision="float64", **fields).weights
        own.append(largest_difference(run(one, "sparse", **fields).weights, single))
        torchs.append(largest_difference(single, exact))
    assert np.median(own) < 2 * np.median(torchs)
    assert min(torchs) > 0


@pytest.mark.parametrize("density", [None, 0.2])
def test_final_accuracies_are_the_same_within_noise(density: float | None) -> None:
    """The 99 % interval of the paired differences holds 0, and is narrower than eight of the 719 test examples."""
    differences, accuracies = [], []
    for seed in SEEDS:
        one = member(lenet, seed, density=density)
        by_torch, by_sparse = (
            run(one, engine, steps=200, evaluate_every=200, lr=1.2e-3).history.end["test/accuracy"]
            for engine in ("torch", "sparse")
        )
        differences.append(by_sparse - by_torch)
        accuracies.append(by_sparse)
    half_width = stats.sem(differences) * stats.t.ppf(0.995, len(differences) - 1)
    assert abs(np.mean(differences)) <= half_width
    assert half_width < 8 / 719
    assert min(accuracies) > 0.85
