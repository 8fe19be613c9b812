"""Pruning within training: one method per file, their table and planners, and the state that moves with a training."""

from lth.training.sparsifiers.method import Change, SparsifierMethod, View, keep, keep_highest, score, zeroed
from lth.training.sparsifiers.running import RunningSparsifier
from lth.training.sparsifiers.schedule import (
    Application,
    Span,
    draw_and_regrow,
    each_epoch,
    rising,
    rising_softly,
)
from lth.training.sparsifiers.state import Live, MaskState
from lth.training.sparsifiers.table import SPARSIFIERS, check_sparsifier, plan_sparsifier, scope_of

__all__ = [
    "SPARSIFIERS",
    "Application",
    "Change",
    "Live",
    "MaskState",
    "RunningSparsifier",
    "Span",
    "SparsifierMethod",
    "View",
    "check_sparsifier",
    "draw_and_regrow",
    "each_epoch",
    "keep",
    "keep_highest",
    "plan_sparsifier",
    "rising",
    "rising_softly",
    "scope_of",
    "score",
    "zeroed",
]
