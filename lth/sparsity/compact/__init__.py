"""Make a pruned network physically smaller, and equal to the masked one.

tape (one run, written down) with handlers for layers, elementwise functions, shapes and heads -> units (what goes
together, what is constant, what is needed) -> cut (what is left of each tensor) -> shrink; `cost` measures the gain.
"""

from lth.sparsity.compact.attention import CompactAttention
from lth.sparsity.compact.cost import RealCost, real_costs
from lth.sparsity.compact.cut import Cut, apply_cut
from lth.sparsity.compact.select_inputs import SelectInputs
from lth.sparsity.compact.shrink import TOLERANCE, Compacted, compact, masked_copy

__all__ = [
    "TOLERANCE",
    "CompactAttention",
    "Compacted",
    "Cut",
    "RealCost",
    "SelectInputs",
    "apply_cut",
    "compact",
    "masked_copy",
    "real_costs",
]
