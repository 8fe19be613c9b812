"""Measures that are made while a training runs: one group per file, their table, and how they run."""

from lth.training.measures.measure import Measure, Memory, View
from lth.training.measures.running import RunningMeasures
from lth.training.measures.table import MEASURES

__all__ = ["MEASURES", "Measure", "Memory", "RunningMeasures", "View"]
