"""What finished studies say: intervals over replicates, the verdict, and the documents that reports are made from."""

from lth.analysis.details import details
from lth.analysis.results import results
from lth.analysis.statistics import Interval, interval, paired_difference
from lth.analysis.verdict import verdict

__all__ = ["Interval", "details", "interval", "paired_difference", "results", "verdict"]
