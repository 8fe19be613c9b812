"""What finished studies say: points and documents here; statistics, verdicts and tables in their own modules."""

from lth.analysis.documents import Details, Interval, Results, read_documents
from lth.analysis.points import Arm, Conclusion, Plot, Point

__all__ = ["Arm", "Conclusion", "Details", "Interval", "Plot", "Point", "Results", "read_documents"]
