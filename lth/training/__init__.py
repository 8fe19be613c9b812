"""Training: the population (who), the engines (how), and what is measured on the way."""

from lth.training.engines import Outcome, members_that_fit, release_memory, train
from lth.training.history import History
from lth.training.journal import Interrupted, Journal, NoJournal
from lth.training.optimizers import OPTIMIZERS, check_optimizer, make_optimizer
from lth.training.population import Member
from lth.training.seeds import Seeds, derive_seed, seeds_of
from lth.training.snapshot import Snapshot, snapshot_from_bytes
from lth.training.sparsifiers import SPARSIFIERS, Application, applications, plan_sparsifier
from lth.training.traces import MOMENTS, SUMS

__all__ = [
    "MOMENTS",
    "OPTIMIZERS",
    "SPARSIFIERS",
    "SUMS",
    "Application",
    "History",
    "Interrupted",
    "Journal",
    "Member",
    "NoJournal",
    "Outcome",
    "Seeds",
    "Snapshot",
    "applications",
    "check_optimizer",
    "derive_seed",
    "make_optimizer",
    "members_that_fit",
    "plan_sparsifier",
    "release_memory",
    "seeds_of",
    "snapshot_from_bytes",
    "train",
]
