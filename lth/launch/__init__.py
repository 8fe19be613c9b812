"""A study from settings to report."""

from lth.launch.conclude import conclude_study, default_out
from lth.launch.found import Found, results
from lth.launch.load import load_studies
from lth.launch.notes import register
from lth.launch.resumed import resume
from lth.launch.run import build_study, few_shot, find_ticket, follow_study, run_study, study
from lth.launch.samples import check_sample

__all__ = [
    "Found",
    "build_study",
    "check_sample",
    "conclude_study",
    "default_out",
    "few_shot",
    "find_ticket",
    "follow_study",
    "load_studies",
    "register",
    "results",
    "resume",
    "run_study",
    "study",
]
