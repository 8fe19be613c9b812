"""Saliencies by name: criteria that look at gradients, activations or whole layers; the lowest scores go first."""

from collections.abc import Callable

from lth.sparsity.evidence import Evidence
from lth.sparsity.saliency.fisher import fisher
from lth.sparsity.saliency.gradient import snip, taylor
from lth.sparsity.saliency.grasp import grasp
from lth.sparsity.saliency.magnitude import lamp, large_final_layer_normalised
from lth.sparsity.saliency.movement import movement_pruning
from lth.sparsity.saliency.relevance import lrp_epsilon, lrp_z_plus
from lth.sparsity.saliency.synflow import synflow
from lth.sparsity.saliency.wanda import wanda, wanda_raw
from lth.sparsity.types import Scores

SALIENCIES: dict[str, Callable[[Evidence], Scores]] = {
    "snip": snip,
    "grasp": grasp,
    "synflow": synflow,
    "taylor": taylor,
    "fisher": fisher,
    "lrp_epsilon": lrp_epsilon,
    "lrp_z_plus": lrp_z_plus,
    "wanda": wanda,
    "wanda_raw": wanda_raw,
    "lamp": lamp,
    "large_final_layer_normalised": large_final_layer_normalised,
    "movement_pruning": movement_pruning,
}

NEEDS_NETWORK = frozenset(
    {"snip", "grasp", "synflow", "taylor", "fisher", "lrp_epsilon", "lrp_z_plus", "wanda", "wanda_raw"}
)
"""Criteria that need `evidence.network`."""

NEEDS_TRACES = frozenset({"movement_pruning"})
"""Criteria that need `evidence.traces` of their own name."""
