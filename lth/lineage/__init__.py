"""The derivation graph: what determines a result (nodes, kinds), where it is kept (store), how it is made (build)."""

from lth.lineage.agenda import Observer, Unobserved
from lth.lineage.build import BuildError, Execution, build
from lth.lineage.compact_files import load_compact
from lth.lineage.executors import WorkerDied
from lth.lineage.files import StoreError, json_to_bytes, weights_to_bytes, write_file
from lth.lineage.foreign_masks import masks_digest, read_masks_file
from lth.lineage.kinds import (
    Ablated,
    Checkpoint,
    Combined,
    Complement,
    Constant,
    Dense,
    Evaluated,
    Given,
    Grafted,
    Initial,
    Interpolated,
    Intervened,
    LearnedMasks,
    MaskedNetwork,
    Merged,
    Noise,
    Overlapped,
    Permuted,
    Pretrained,
    Prunable,
    Pruned,
    Reshuffled,
    Shuffled,
    Signed,
    Sparsified,
    SuperWeightsFound,
    Trained,
    Transplanted,
    ZeroedByMovement,
    Zeros,
)
from lth.lineage.kinds.table import NODES
from lth.lineage.nodes import DataSpec, Job, MasksNode, Node, WeightsNode, derivation, from_documents, to_documents
from lth.lineage.plan import Plan, Work, plan
from lth.lineage.provenance import environment
from lth.lineage.reader import Measured, Reader
from lth.lineage.sources import Sources
from lth.lineage.store import Store
from lth.lineage.ticket import Ticket, apply_masks, check_fit, make_ticket, read_ticket, write_ticket
from lth.lineage.ticket_compare import ComparedTickets, compare_tickets
from lth.lineage.ticket_merge import MergedDocument, merge_tickets
from lth.lineage.ticket_verify import verify_ticket
from lth.lineage.work import Diverged

__all__ = [
    "NODES",
    "Ablated",
    "BuildError",
    "Checkpoint",
    "Combined",
    "ComparedTickets",
    "Complement",
    "Constant",
    "DataSpec",
    "Dense",
    "Diverged",
    "Evaluated",
    "Execution",
    "Given",
    "Grafted",
    "Initial",
    "Interpolated",
    "Intervened",
    "Job",
    "LearnedMasks",
    "MaskedNetwork",
    "MasksNode",
    "Measured",
    "Merged",
    "MergedDocument",
    "Node",
    "Noise",
    "Observer",
    "Overlapped",
    "Permuted",
    "Plan",
    "Pretrained",
    "Prunable",
    "Pruned",
    "Reader",
    "Reshuffled",
    "Shuffled",
    "Signed",
    "Sources",
    "Sparsified",
    "Store",
    "StoreError",
    "SuperWeightsFound",
    "Ticket",
    "Trained",
    "Transplanted",
    "Unobserved",
    "WeightsNode",
    "Work",
    "WorkerDied",
    "ZeroedByMovement",
    "Zeros",
    "apply_masks",
    "build",
    "check_fit",
    "compare_tickets",
    "derivation",
    "environment",
    "from_documents",
    "json_to_bytes",
    "load_compact",
    "make_ticket",
    "masks_digest",
    "merge_tickets",
    "plan",
    "read_masks_file",
    "read_ticket",
    "to_documents",
    "verify_ticket",
    "weights_to_bytes",
    "write_file",
    "write_ticket",
]
