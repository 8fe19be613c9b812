"""Pure functions on weights and masks: no training, no files.

prunable -> criteria (score) -> scope (group) -> select (cut) -> actions (restart); `metrics` describes a mask.
"""

from lth.sparsity.actions import PRUNED_ACTIONS, combine, zero
from lth.sparsity.criteria import CRITERIA, Criterion, Evidence, large_final, random
from lth.sparsity.metrics import density, density_by_tensor
from lth.sparsity.prunable import prunable
from lth.sparsity.schedule import SCHEDULES, Schedule, iterative, one_shot
from lth.sparsity.scope import SCOPES, Group, Scope, global_scope, layerwise, per_pattern
from lth.sparsity.select import planned_counts, select
from lth.sparsity.shuffle import shuffle_within_tensors
from lth.sparsity.threshold import kth_smallest
from lth.sparsity.types import Masks, Scores, Shapes, Weights

__all__ = [
    "CRITERIA",
    "PRUNED_ACTIONS",
    "SCHEDULES",
    "SCOPES",
    "Criterion",
    "Evidence",
    "Group",
    "Masks",
    "Schedule",
    "Scope",
    "Scores",
    "Shapes",
    "Weights",
    "combine",
    "density",
    "density_by_tensor",
    "global_scope",
    "iterative",
    "kth_smallest",
    "large_final",
    "layerwise",
    "one_shot",
    "per_pattern",
    "planned_counts",
    "prunable",
    "random",
    "select",
    "shuffle_within_tensors",
    "zero",
]
