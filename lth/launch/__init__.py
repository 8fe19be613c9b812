"""Where studies run: here."""

from lth.launch.here import Found, default_out, find_ticket, register, run_study
from lth.launch.supermask import FoundSupermasks, run_supermask_study

__all__ = [
    "Found",
    "FoundSupermasks",
    "default_out",
    "find_ticket",
    "register",
    "run_study",
    "run_supermask_study",
]
