"""Make a pruned network physically smaller, and equal to the masked one.

tape (one run, written down) with handlers for layers, elementwise functions, shapes and heads -> units (what goes
together, what is constant, what is needed) -> cut (what is left of each tensor) -> shrink; `cost` measures the gain,
`padded` puts a network of `transformers` back into its class.
"""

from lth.sparsity.compact.attention import CompactAttention
from lth.sparsity.compact.cost import RealCost, real_costs
from lth.sparsity.compact.cut import Cut, apply_cut
from lth.sparsity.compact.padded import Padding, padded_state
from lth.sparsity.compact.select_inputs import SelectInputs
from lth.sparsity.compact.shrink import TOLERANCE, Compacted, compact, largest_difference, masked_copy

__all__ = [
    "TOLERANCE",
    "CompactAttention",
    "Compacted",
    "Cut",
    "Padding",
    "RealCost",
    "SelectInputs",
    "apply_cut",
    "compact",
    "largest_difference",
    "masked_copy",
    "padded_state",
    "real_costs",
]
