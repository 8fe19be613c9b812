"""Mask criteria by name: which weights matter. Each gives one score per weight; the lowest are pruned first."""

from collections.abc import Callable

from lth.sparsity import zhou
from lth.sparsity.evidence import Evidence
from lth.sparsity.saliency import SALIENCIES
from lth.sparsity.types import Scores

Criterion = Callable[[Evidence], Scores]

CRITERIA: dict[str, Criterion] = {
    "large_final": zhou.large_final,
    "small_final": zhou.small_final,
    "large_init": zhou.large_init,
    "small_init": zhou.small_init,
    "large_init_large_final": zhou.large_init_large_final,
    "large_init_large_final_scaled": zhou.large_init_large_final_scaled,
    "small_init_small_final": zhou.small_init_small_final,
    "small_init_small_final_scaled": zhou.small_init_small_final_scaled,
    "magnitude_increase": zhou.magnitude_increase,
    "magnitude_increase_scaled": zhou.magnitude_increase_scaled,
    "magnitude_increase_normalised": zhou.magnitude_increase_normalised,
    "movement": zhou.movement,
    "movement_normalised": zhou.movement_normalised,
    "large_final_same_sign": zhou.large_final_same_sign,
    "large_final_diff_sign": zhou.large_final_diff_sign,
    "magnitude_increase_same_sign": zhou.magnitude_increase_same_sign,
    "magnitude_increase_diff_sign": zhou.magnitude_increase_diff_sign,
    "random": zhou.random,
    **SALIENCIES,
}
