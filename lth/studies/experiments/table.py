"""Published experiments by name: `lth reproduce NAME`."""

from lth.config import Table
from lth.studies.experiments.bert_tickets import BERT, BERT_TABLE
from lth.studies.experiments.experiment import Experiment
from lth.studies.experiments.frankle_carbin_lenet import FRANKLE_CARBIN_LENET
from lth.studies.experiments.lwh import TABLE
from lth.studies.experiments.lwh_numbers import LWH

EXPERIMENTS: Table[Experiment] = Table("experiment", {"frankle-carbin-lenet": FRANKLE_CARBIN_LENET, **LWH, **BERT})

EXPERIMENT_GROUPS: dict[str, tuple[str, ...]] = {**TABLE, **BERT_TABLE}
"""Experiments that are run together, by one name."""
