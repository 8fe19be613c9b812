"""Figures and one self-contained HTML page, from the result files of studies alone."""

from lth.report.figure import Figure
from lth.report.page import chart, figures, write_report
from lth.report.study import Study, read_study

__all__ = ["Figure", "Study", "chart", "figures", "read_study", "write_report"]
