"""The measures by name."""

from lth.config.choices import Table
from lth.training.measures.gradients import zero_grad_norm
from lth.training.measures.lifetimes import lifetimes, watch
from lth.training.measures.measure import Measure
from lth.training.measures.revival import revival
from lth.training.measures.sparsity import sparsity
from lth.training.measures.spikes import check_transformer, super_weights
from lth.training.measures.structure import dead_neurons, effective_ranks

MEASURES: Table[Measure] = Table(
    "measure",
    {
        "sparsity": Measure(sparsity, "shares of zeros, overall and by layer, beside masks and plan"),
        "revival": Measure(revival, "pruned weights that are kept again, and those that stay pruned"),
        "dead_neurons": Measure(dead_neurons, "units without a weight, by layer"),
        "zero_grad_norm": Measure(zero_grad_norm, "gradient of pruned weights, by layer", reads_gradients=True),
        "effective_rank": Measure(effective_ranks, "directions that each matrix uses (every fifth time)", every=5),
        "lifetimes": Measure(watch, "at the end: how long zeros last, and how often masks flip", finish=lifetimes),
        "super_weights": Measure(
            super_weights,
            "the strongest spike of a transformer's MLPs, on eight validation windows",
            examples=8,
            check=check_transformer,
        ),
    },
)
"""Measures of running trainings by name: `--measures`."""
