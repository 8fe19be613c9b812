"""Published experiments, one file each: settings, the paper's numbers with their source, and how ours are compared."""

from lth.studies.experiments.experiment import Experiment, Published
from lth.studies.experiments.table import EXPERIMENT_GROUPS, EXPERIMENTS

__all__ = ["EXPERIMENTS", "EXPERIMENT_GROUPS", "Experiment", "Published"]
