"""Training: the population (who), the engines (how), and what is measured on the way."""

from lth.training.engines import (
    ENGINES,
    EngineChoice,
    EngineType,
    Outcome,
    TorchEngine,
    Unstackable,
    choose_engine,
    train,
)
from lth.training.history import History, read_history
from lth.training.journal import Interrupted, Journal, NoJournal
from lth.training.measures import MEASURES, Measure
from lth.training.optimizers import OPTIMIZERS, check_optimizer, make_optimizer
from lth.training.population import Member, Moments
from lth.training.seeds import Seeds, derive_seed, seeds_of
from lth.training.snapshot import Snapshot, snapshot_from_bytes
from lth.training.sparsifiers import SPARSIFIERS, plan_sparsifier
from lth.training.traces import MOMENTS, SUMS
from lth.training.where import Where

__all__ = [
    "ENGINES",
    "MEASURES",
    "MOMENTS",
    "OPTIMIZERS",
    "SPARSIFIERS",
    "SUMS",
    "EngineChoice",
    "EngineType",
    "History",
    "Interrupted",
    "Journal",
    "Measure",
    "Member",
    "Moments",
    "NoJournal",
    "Outcome",
    "Seeds",
    "Snapshot",
    "TorchEngine",
    "Unstackable",
    "Where",
    "check_optimizer",
    "choose_engine",
    "derive_seed",
    "make_optimizer",
    "plan_sparsifier",
    "read_history",
    "seeds_of",
    "snapshot_from_bytes",
    "train",
]
