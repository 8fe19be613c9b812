"""Granularity: how the weights of a network fall into units that live and die together."""

from lth.sparsity.granularities.families import Family
from lth.sparsity.granularities.structure import Structure, structure_of
from lth.sparsity.granularities.table import GRANULARITIES, Granularity, families_of, granularity, unstructured

__all__ = [
    "GRANULARITIES",
    "Family",
    "Granularity",
    "Structure",
    "families_of",
    "granularity",
    "structure_of",
    "unstructured",
]
