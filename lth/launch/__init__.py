"""A study from settings to report."""

from lth.launch.compact import CompactReport, compact_ticket
from lth.launch.found import Found, results
from lth.launch.run import (
    build_study,
    conclude_study,
    default_out,
    find_ticket,
    load_studies,
    register,
    run_study,
    study,
)

__all__ = [
    "CompactReport",
    "Found",
    "build_study",
    "compact_ticket",
    "conclude_study",
    "default_out",
    "find_ticket",
    "load_studies",
    "register",
    "results",
    "run_study",
    "study",
]
