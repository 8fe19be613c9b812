"""The criteria of Zhou et al. 2019 against numbers worked out by hand."""

import pytest
import torch

from lth.sparsity import CRITERIA, Evidence

INITIAL = [1.0, -2.0, 0.5, -0.5]
FINAL = [3.0, 1.0, -1.0, -0.25]
NONE = -torch.inf

EXPECTED = {
    "large_final": [3.0, 1.0, 1.0, 0.25],
    "small_final": [-3.0, -1.0, -1.0, -0.25],
    "large_init": [1.0, 2.0, 0.5, 0.5],
    "small_init": [-1.0, -2.0, -0.5, -0.5],
    "large_init_large_final": [1.0, 1.0, 0.5, 0.25],
    "small_init_small_final": [-3.0, -2.0, -1.0, -0.5],
    "magnitude_increase": [2.0, -1.0, 0.5, -0.25],
    "magnitude_increase_normalised": [2.0, -0.5, 1.0, -0.5],
    "movement": [2.0, 3.0, 1.5, 0.25],
    "movement_normalised": [2.0, 1.5, 3.0, 0.5],
    "large_final_same_sign": [3.0, 0.0, 0.0, 0.25],
    "large_final_diff_sign": [0.0, 1.0, 1.0, 0.0],
    "magnitude_increase_same_sign": [2.0, NONE, NONE, -0.25],
    "magnitude_increase_diff_sign": [NONE, -1.0, 0.5, NONE],
}
SCALED = {
    # Over the last two weights, the only ones kept: a = rms(0.5, 0.5) / rms(1, 0.25).
    "large_init_large_final_scaled": lambda a: [1.0, a, 0.5, 0.25 * a],
    "small_init_small_final_scaled": lambda a: [-3 * a, -2.0, -a, -0.5],
    "magnitude_increase_scaled": lambda a: [3 * a - 1, a - 2, a - 0.5, 0.25 * a - 0.5],
}


def evidence(masks: dict[str, torch.Tensor]) -> Evidence:
    start, end = ({"w": torch.tensor(values)} for values in (INITIAL, FINAL))
    return Evidence(start, end, torch.Generator().manual_seed(0), masks)


@pytest.mark.parametrize("name", EXPECTED)
def test_formula(name: str) -> None:
    assert CRITERIA[name](evidence({}))["w"].tolist() == EXPECTED[name]


@pytest.mark.parametrize("name", SCALED)
def test_scaled_formula(name: str) -> None:
    a = 0.5 / ((1.0**2 + 0.25**2) / 2) ** 0.5
    scores = CRITERIA[name](evidence({"w": torch.tensor([False, False, True, True])}))
    assert scores["w"].tolist() == pytest.approx(SCALED[name](a))


def test_scaling_forgives_what_the_whole_layer_did() -> None:
    grown = Evidence({"w": torch.tensor(INITIAL)}, {"w": 7 * torch.tensor(INITIAL)}, torch.Generator())
    assert CRITERIA["magnitude_increase_scaled"](grown)["w"].tolist() == pytest.approx([0.0] * 4, abs=1e-6)


def test_a_weight_that_starts_at_zero_is_no_division_by_zero() -> None:
    zeros = Evidence({"w": torch.zeros(2)}, {"w": torch.tensor([0.0, 1e-3])}, torch.Generator())
    for name in ("magnitude_increase_normalised", "movement_normalised"):
        scores = CRITERIA[name](zeros)["w"]
        assert not bool(scores.isnan().any())
        assert scores[0] == 0
        assert scores[1] > 1e30
