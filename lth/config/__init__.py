"""What users write: settings as frozen values, checked with their names. No torch here, so help stays fast."""

from lth.config.choices import Table, check_choice
from lth.config.duration import Clock, Duration, steps_per_epoch
from lth.config.errors import SettingsError, as_settings_error
from lth.config.idle import without_idle
from lth.config.metric import Metric
from lth.config.pruning import Pruning, Targets
from lth.config.recipe import Recipe
from lth.config.running import Running
from lth.config.settings import StudySettings, check_names, flat_fields, parts_of
from lth.config.sparsifier import MaskChanges, MaskSchedule, Sparsifier
from lth.config.supermask import SupermaskSettings
from lth.config.sweep import expand_sweep
from lth.config.training import Function, TaskSpec, Training

__all__ = [
    "Clock",
    "Duration",
    "Function",
    "MaskChanges",
    "MaskSchedule",
    "Metric",
    "Pruning",
    "Recipe",
    "Running",
    "SettingsError",
    "Sparsifier",
    "StudySettings",
    "SupermaskSettings",
    "Table",
    "Targets",
    "TaskSpec",
    "Training",
    "as_settings_error",
    "check_choice",
    "check_names",
    "expand_sweep",
    "flat_fields",
    "parts_of",
    "steps_per_epoch",
    "without_idle",
]
