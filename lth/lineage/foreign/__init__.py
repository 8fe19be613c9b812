"""Weights in files of any origin, and what they keep."""

from lth.lineage.foreign.files import Entry, WeightsFile, open_weights
from lth.lineage.foreign.report import sparsity_document

__all__ = ["Entry", "WeightsFile", "open_weights", "sparsity_document"]
