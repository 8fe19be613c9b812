"""What can be said about masks, and about weights under them. Pure functions that only look."""

from lth.sparsity.metrics.collapse import collapsed, describe_collapse, warn_of_collapse
from lth.sparsity.metrics.cosine import Products, products, products_in_all
from lth.sparsity.metrics.dead import dead_inputs, dead_outputs
from lth.sparsity.metrics.density import density, density_by_tensor
from lth.sparsity.metrics.overlap import Overlap, overlap, overlap_by_tensor, pooled
from lth.sparsity.metrics.rank import Ranks, effective_rank, ranks, singular_values, stable_rank
from lth.sparsity.metrics.sharing import Sharing, sharing_by_tensor, sharing_in_all
from lth.sparsity.metrics.survival import Survival, largest, same_tenth, survival

__all__ = [
    "Overlap",
    "Products",
    "Ranks",
    "Sharing",
    "Survival",
    "collapsed",
    "dead_inputs",
    "dead_outputs",
    "density",
    "density_by_tensor",
    "describe_collapse",
    "effective_rank",
    "largest",
    "overlap",
    "overlap_by_tensor",
    "pooled",
    "products",
    "products_in_all",
    "ranks",
    "same_tenth",
    "sharing_by_tensor",
    "sharing_in_all",
    "singular_values",
    "stable_rank",
    "survival",
    "warn_of_collapse",
]
