"""Figures and one self-contained HTML page, from the result files of studies alone."""

from lth.report.page import write_report
from lth.report.study import Study, read_study

__all__ = ["Study", "read_study", "write_report"]
