"""The science, one study per file: which jobs a question needs, and what follows from them. Nothing here trains."""

from lth.studies.experiments import EXPERIMENT_GROUPS, EXPERIMENTS, Experiment, Published
from lth.studies.restart import KEPT_ACTIONS, PRUNED_ACTIONS, KeptAction, Level, PrunedAction
from lth.studies.study_type import StudyType
from lth.studies.table import STUDIES, settings_of

__all__ = [
    "EXPERIMENTS",
    "EXPERIMENT_GROUPS",
    "KEPT_ACTIONS",
    "PRUNED_ACTIONS",
    "STUDIES",
    "Experiment",
    "KeptAction",
    "Level",
    "PrunedAction",
    "Published",
    "StudyType",
    "settings_of",
]
