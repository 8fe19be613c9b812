"""A study from settings to report."""

from lth.launch.compact import CompactReport, compact_ticket
from lth.launch.conclude import conclude_study, default_out
from lth.launch.found import Found, results
from lth.launch.load import load_studies
from lth.launch.notes import register
from lth.launch.run import build_study, few_shot, find_ticket, follow_study, run_study, study
from lth.launch.samples import check_sample
from lth.launch.superweights import SuperWeights, super_weights
from lth.launch.ticket_hub import pull_ticket, push_ticket

__all__ = [
    "CompactReport",
    "Found",
    "SuperWeights",
    "build_study",
    "check_sample",
    "compact_ticket",
    "conclude_study",
    "default_out",
    "few_shot",
    "find_ticket",
    "follow_study",
    "load_studies",
    "pull_ticket",
    "push_ticket",
    "register",
    "results",
    "run_study",
    "study",
    "super_weights",
]
