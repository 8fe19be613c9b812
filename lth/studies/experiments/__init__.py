"""Published experiments, one file each: settings, the paper's numbers with their source, and how ours are compared."""

from lth.studies.experiments.experiment import Experiment, Published
from lth.studies.experiments.table import EXPERIMENTS

__all__ = ["EXPERIMENTS", "Experiment", "Published"]
