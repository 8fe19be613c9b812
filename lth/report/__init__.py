"""Figures and one self-contained HTML page, from the result files of studies alone."""

from lth.report.figure import Figure
from lth.report.page import chart, figures, write_report
from lth.report.study import StudyFiles, read_study
from lth.report.super_weights import write_super_weights

__all__ = ["Figure", "StudyFiles", "chart", "figures", "read_study", "write_report", "write_super_weights"]
