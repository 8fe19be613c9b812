"""The derivation graph: what determines a result (nodes), where it lies (store), how it is made (plan, build)."""

from lth.lineage.agenda import Observer
from lth.lineage.build import BuildError, Execution, build
from lth.lineage.derive import Deriver, Diverged, Sources
from lth.lineage.files import StoreError, json_to_bytes, weights_to_bytes, write_file
from lth.lineage.nodes import (
    Checkpoint,
    Combined,
    DataSpec,
    Dense,
    Initial,
    Node,
    Pruned,
    Shuffled,
    Sparsified,
    Trained,
    WeightsNode,
    Whole,
    derivation,
    from_documents,
    to_documents,
)
from lth.lineage.plan import Plan, Work, plan
from lth.lineage.pool import WorkerDied
from lth.lineage.provenance import environment
from lth.lineage.store import Store
from lth.lineage.ticket import Ticket, apply_masks, check_fit, make_ticket, read_ticket, starting_weights, write_ticket
from lth.lineage.words import in_words

__all__ = [
    "BuildError",
    "Checkpoint",
    "Combined",
    "DataSpec",
    "Dense",
    "Deriver",
    "Diverged",
    "Execution",
    "Initial",
    "Node",
    "Observer",
    "Plan",
    "Pruned",
    "Shuffled",
    "Sources",
    "Sparsified",
    "Store",
    "StoreError",
    "Ticket",
    "Trained",
    "WeightsNode",
    "Whole",
    "Work",
    "WorkerDied",
    "apply_masks",
    "build",
    "check_fit",
    "derivation",
    "environment",
    "from_documents",
    "in_words",
    "json_to_bytes",
    "make_ticket",
    "plan",
    "read_ticket",
    "starting_weights",
    "to_documents",
    "weights_to_bytes",
    "write_file",
    "write_ticket",
]
