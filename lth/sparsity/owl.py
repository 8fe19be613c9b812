"""Layer shares by outliers: a layer in which more weights matter far above its mean is pruned less.

Source: Yin et al. 2023, arXiv:2310.05175, Section 3.
"""

from collections.abc import Mapping
from math import prod

from lth.sparsity.evidence import Evidence
from lth.sparsity.saliency.running import kept
from lth.sparsity.saliency.wanda import wanda_raw
from lth.sparsity.scope import EvidenceScope, Group, exact_groups, refuse_patterns
from lth.sparsity.types import Scores, Shapes

TIMES_THE_MEAN, SPREAD = 5.0, 0.08
"""The paper's M and lambda."""


def owl(shapes: Shapes, density: float, by_pattern: Mapping[str, float], evidence: Evidence) -> list[Group]:
    """Keep more of a tensor the more of its |w| ||x||_2 exceed five times their mean, within 8 points of the density.

    Shares of outliers are stretched to the range that the paper allows, and moved together until the network keeps
    exactly what is asked; no tensor is asked for more than earlier levels left it. A layer is a tensor here; in the
    paper's code it is a whole block.

    Raises:
        ValueError: if patterns have a density of their own, the evidence has no network, or a prunable parameter is
            used in no product.

    Source: Yin et al. 2023, arXiv:2310.05175, Section 3: outlier weighed layerwise sparsity.
    """
    refuse_patterns("owl", by_pattern)
    try:
        shares = outlier_shares(wanda_raw(evidence), evidence)
    except ValueError as error:
        raise ValueError(str(error).replace("criterion 'wanda_raw'", "scope 'owl'")) from error
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    most = {name: int(evidence.masks[name].sum()) if name in evidence.masks else sizes[name] for name in shapes}
    return exact_groups(sizes, layer_counts(sizes, most, [shares[name] for name in shapes], density))


def outlier_shares(products: Scores, evidence: Evidence) -> dict[str, float]:
    """Return for each tensor which share of its kept weights has a product above TIMES_THE_MEAN times their mean."""
    shares = {}
    for name, values in products.items():
        present = values[kept(evidence, name, values)]
        outliers = int((present > TIMES_THE_MEAN * present.mean()).sum()) if present.numel() else 0
        shares[name] = outliers / max(1, present.numel())
    return shares


def layer_counts(sizes: Mapping[str, int], most: Mapping[str, int], shares: list[float], density: float) -> list[float]:
    """Return how many weights each tensor is to keep, not yet rounded; together `density` of all, if there are as many.

    Args:
        sizes: of the tensors.
        most: what each has left.
        shares: of outliers, in the same order.
        density: of the network.
    """
    low, width = min(shares), max(shares) - min(shares)
    stretched = [2 * SPREAD * (share - low) / width if width else 0.0 for share in shares]

    def counts(moved: float) -> list[float]:
        pairs = zip(sizes.items(), stretched, strict=True)
        return [min(max(size * (moved + above), 0.0), float(most[name])) for (name, size), above in pairs]

    wanted = min(density * sum(sizes.values()), float(sum(most.values())))
    below, above = -1.0, 1.0
    for _ in range(100):  # bisection: the sum of the counts rises with what they are moved by
        middle = (below + above) / 2
        below, above = (middle, above) if sum(counts(middle)) < wanted else (below, middle)
    return counts(above)


OWL = EvidenceScope("owl", owl)
