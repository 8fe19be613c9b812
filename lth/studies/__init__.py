"""The science, as functions over nodes: which trainings a question needs. Nothing here trains."""

from lth.studies.find_ticket import Run, find_ticket_runs
from lth.studies.study import Study, find_ticket_study
from lth.studies.supermask import SupermaskStudy, supermask_study

__all__ = ["Run", "Study", "SupermaskStudy", "find_ticket_runs", "find_ticket_study", "supermask_study"]
