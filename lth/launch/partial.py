"""Data sets that lack some of their files: which of those that settings name can be used so."""

import inspect
from typing import TypeVar

from lth.config import StudySettings
from lth.config.text import PARTIAL, split_arguments, with_partial
from lth.data import DATASETS

S = TypeVar("S", bound=StudySettings)


def allowing_partial(settings: S) -> S:
    """Return settings whose data sets may lack files, those of further subjects too.

    Sets that are always whole stay as they are named, unless all are: then the study's own is told, and refuses.
    """
    known = {name: data for name, data in settings.data_sets.items() if takes_partial(data)}
    known = known or {"data": settings.data}
    return settings.with_(**{name: with_partial(data) for name, data in known.items()})


def takes_partial(data: str) -> bool:
    """Return whether a data set knows the argument that lets files be missing."""
    name, _ = split_arguments(data)
    return name in DATASETS and PARTIAL in inspect.signature(DATASETS[name]).parameters
