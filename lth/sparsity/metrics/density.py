"""How much of a network is kept."""

from lth.sparsity.types import Masks


def density(masks: Masks) -> float:
    """Return the fraction of the masked parameters' weights that is kept, in [0, 1]; 1.0 without masks."""
    total = sum(mask.numel() for mask in masks.values())
    return sum(int(mask.sum()) for mask in masks.values()) / total if total else 1.0


def density_by_tensor(masks: Masks) -> dict[str, float]:
    """Return the fraction kept of each tensor, in [0, 1]."""
    return {name: int(mask.sum()) / mask.numel() for name, mask in masks.items()}
