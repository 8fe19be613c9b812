"""What users write: settings as frozen values, checked with their names. No torch here, so help stays fast."""

from lth.config.choices import check_choice
from lth.config.duration import Duration, to_steps
from lth.config.find_ticket import FindTicket
from lth.config.presets import PRESETS, preset
from lth.config.pruning import Pruning
from lth.config.recipe import Recipe
from lth.config.running import Running
from lth.config.sparsifier import MaskChanges, Sparsifier
from lth.config.supermask import LearnSupermask, SupermaskSettings
from lth.config.sweep import expand_sweep

__all__ = [
    "PRESETS",
    "Duration",
    "FindTicket",
    "LearnSupermask",
    "MaskChanges",
    "Pruning",
    "Recipe",
    "Running",
    "Sparsifier",
    "SupermaskSettings",
    "check_choice",
    "expand_sweep",
    "preset",
    "to_steps",
]
