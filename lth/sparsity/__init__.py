"""Pure functions on weights and masks: no training, no files.

prunable -> criteria (score) -> scope (group) and granularity (what goes as one) -> select (cut) -> actions (restart);
`prune` puts them together as the settings say, `merge` makes masks of masks, `metrics` describes a mask, `compact`
makes a network smaller.
"""

from lth.sparsity.actions import (
    DISTRIBUTIONS,
    combine,
    constant,
    noise,
    permuted,
    reshuffled,
    with_signs,
    zeroed_by_movement,
)
from lth.sparsity.batches import some_examples, split_batch
from lth.sparsity.criteria import CRITERIA, Criterion, criterion
from lth.sparsity.entries import Entry, entries_of
from lth.sparsity.evidence import Evidence, Network, network_of
from lth.sparsity.granularities import GRANULARITIES, Granularity, Structure, granularity, structure_of
from lth.sparsity.merge import MERGES, complement, merged
from lth.sparsity.metrics import density, density_by_tensor, warn_of_collapse
from lth.sparsity.prunable import left_out, never_pruned, prunable
from lth.sparsity.prune import densities_by_pattern, density_of_level, prune, settled_entries
from lth.sparsity.rounds import in_rounds
from lth.sparsity.schedule import SCHEDULES, Schedule, after_equal_steps, schedule
from lth.sparsity.scope import (
    EvidenceScope,
    Group,
    Scope,
    erk,
    global_scope,
    layerwise,
    per_pattern,
    uniform_plus,
    with_evidence,
    without_evidence,
)
from lth.sparsity.scopes import SCOPES
from lth.sparsity.select import planned_counts, planned_density, select
from lth.sparsity.shuffle import shuffle_within_tensors
from lth.sparsity.threshold import kth_smallest, survivors
from lth.sparsity.ties import Tie, ties, units_lost_by_ties
from lth.sparsity.types import Masks, Scores, Shapes, State, Traces, Weights
from lth.sparsity.words import words_of

__all__ = [
    "CRITERIA",
    "DISTRIBUTIONS",
    "GRANULARITIES",
    "MERGES",
    "SCHEDULES",
    "SCOPES",
    "Criterion",
    "Entry",
    "Evidence",
    "EvidenceScope",
    "Granularity",
    "Group",
    "Masks",
    "Network",
    "Schedule",
    "Scope",
    "Scores",
    "Shapes",
    "State",
    "Structure",
    "Tie",
    "Traces",
    "Weights",
    "after_equal_steps",
    "combine",
    "complement",
    "constant",
    "criterion",
    "densities_by_pattern",
    "density",
    "density_by_tensor",
    "density_of_level",
    "entries_of",
    "erk",
    "global_scope",
    "granularity",
    "in_rounds",
    "kth_smallest",
    "layerwise",
    "left_out",
    "merged",
    "network_of",
    "never_pruned",
    "noise",
    "per_pattern",
    "permuted",
    "planned_counts",
    "planned_density",
    "prunable",
    "prune",
    "reshuffled",
    "schedule",
    "select",
    "settled_entries",
    "shuffle_within_tensors",
    "some_examples",
    "split_batch",
    "structure_of",
    "survivors",
    "ties",
    "uniform_plus",
    "units_lost_by_ties",
    "warn_of_collapse",
    "with_evidence",
    "with_signs",
    "without_evidence",
    "words_of",
    "zeroed_by_movement",
]
