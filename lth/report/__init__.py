"""Figures and one self-contained HTML page, from the result files of studies alone."""

from lth.report.figure import Figure
from lth.report.page import chart, figures, write_report
from lth.report.study import StudyFiles, read_study

__all__ = ["Figure", "StudyFiles", "chart", "figures", "read_study", "write_report"]
