"""Pure functions on weights and masks: no training, no files.

prunable -> criteria (score) -> scope (group) and granularity (what goes as one) -> select (cut) -> actions (restart);
`prune` puts them together as the settings say, `metrics` describes a mask, `compact` makes a network smaller.
"""

from lth.sparsity.actions import KEPT_ACTIONS, PRUNED_ACTIONS, PrunedAction, Restart, combine, restart
from lth.sparsity.criteria import CRITERIA, Criterion
from lth.sparsity.deferred import Deferred
from lth.sparsity.evidence import Evidence, Network
from lth.sparsity.granularities import GRANULARITIES, Granularity, granularity
from lth.sparsity.granularities.structure import Structure, structure_of
from lth.sparsity.losses import LOSSES
from lth.sparsity.metrics import density, density_by_tensor, warn_of_collapse
from lth.sparsity.prunable import prunable
from lth.sparsity.prune import examples_per_class, prune, target, targets
from lth.sparsity.saliency import NEEDS_NETWORK, NEEDS_TRACES, ROUNDS, in_rounds
from lth.sparsity.schedule import SCHEDULES, Schedule
from lth.sparsity.scope import SCOPES, Group, Scope, erk, global_scope, layerwise, per_pattern, uniform_plus
from lth.sparsity.select import planned_counts, planned_density, select
from lth.sparsity.shuffle import shuffle_within_tensors
from lth.sparsity.threshold import kth_smallest, survivors
from lth.sparsity.types import Masks, Scores, Shapes, Weights

__all__ = [
    "CRITERIA",
    "GRANULARITIES",
    "KEPT_ACTIONS",
    "LOSSES",
    "NEEDS_NETWORK",
    "NEEDS_TRACES",
    "PRUNED_ACTIONS",
    "ROUNDS",
    "SCHEDULES",
    "SCOPES",
    "Criterion",
    "Deferred",
    "Evidence",
    "Granularity",
    "Group",
    "Masks",
    "Network",
    "PrunedAction",
    "Restart",
    "Schedule",
    "Scope",
    "Scores",
    "Shapes",
    "Structure",
    "Weights",
    "combine",
    "density",
    "density_by_tensor",
    "erk",
    "examples_per_class",
    "global_scope",
    "granularity",
    "in_rounds",
    "kth_smallest",
    "layerwise",
    "per_pattern",
    "planned_counts",
    "planned_density",
    "prunable",
    "prune",
    "restart",
    "select",
    "shuffle_within_tensors",
    "structure_of",
    "survivors",
    "target",
    "targets",
    "uniform_plus",
    "warn_of_collapse",
]
