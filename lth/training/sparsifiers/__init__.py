"""Pruning within training: one method a file, a planner's table, and the state that moves with a training."""

from lth.training.sparsifiers.method import Change, Method, View
from lth.training.sparsifiers.running import RunningSparsifier
from lth.training.sparsifiers.schedule import Application, applications, plan_sparsifier
from lth.training.sparsifiers.table import SPARSIFIERS

__all__ = [
    "SPARSIFIERS",
    "Application",
    "Change",
    "Method",
    "RunningSparsifier",
    "View",
    "applications",
    "plan_sparsifier",
]
