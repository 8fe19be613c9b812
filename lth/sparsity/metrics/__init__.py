"""What can be said about masks, and about weights, gradients and networks under them. Pure functions that only look."""

from lth.sparsity.metrics.collapse import collapsed, describe_collapse, warn_of_collapse
from lth.sparsity.metrics.cost import Cost, multiply_adds, multiply_adds_by_tensor
from lth.sparsity.metrics.dead import (
    DeadUnits,
    dead_inputs,
    dead_outputs,
    dead_units,
    dead_units_in_chain,
    mean_activations,
    silent_units,
)
from lth.sparsity.metrics.density import density, density_by_tensor
from lth.sparsity.metrics.gradients import GradientRms, gradient_rms, gradient_rms_by_tensor
from lth.sparsity.metrics.overlap import (
    Overlap,
    overlap,
    overlap_by_tensor,
    pooled,
    revival_rate,
    survival_rate,
)
from lth.sparsity.metrics.rank import Ranks, effective_rank, ranks, singular_values, stable_rank
from lth.sparsity.metrics.survival import MagnitudeBin, survival_by_magnitude

__all__ = [
    "Cost",
    "DeadUnits",
    "GradientRms",
    "MagnitudeBin",
    "Overlap",
    "Ranks",
    "collapsed",
    "dead_inputs",
    "dead_outputs",
    "dead_units",
    "dead_units_in_chain",
    "density",
    "density_by_tensor",
    "describe_collapse",
    "effective_rank",
    "gradient_rms",
    "gradient_rms_by_tensor",
    "mean_activations",
    "multiply_adds",
    "multiply_adds_by_tensor",
    "overlap",
    "overlap_by_tensor",
    "pooled",
    "ranks",
    "revival_rate",
    "silent_units",
    "singular_values",
    "stable_rank",
    "survival_by_magnitude",
    "survival_rate",
    "warn_of_collapse",
]
