"""Published experiments by name: `lth reproduce NAME`."""

from lth.config import Table
from lth.studies.experiments.experiment import Experiment
from lth.studies.experiments.frankle_carbin_lenet import FRANKLE_CARBIN_LENET

EXPERIMENTS: Table[Experiment] = Table("experiment", {"frankle-carbin-lenet": FRANKLE_CARBIN_LENET})
