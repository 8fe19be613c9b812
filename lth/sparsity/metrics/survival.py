"""Which weights survive, by how large they were: the base rate that a claim about one weight needs."""

from dataclasses import dataclass

import torch

from lth.sparsity.types import Masks, Weights


@dataclass(frozen=True, slots=True)
class MagnitudeBin:
    """Weights of similar initial magnitude, and how many of them survived.

    Attributes:
        low, high: smallest and largest |initial weight| in the bin.
        num_weights: weights in the bin.
        survived: fraction of them that is kept, in [0, 1].
    """

    low: float
    high: float
    num_weights: int
    survived: float


def survival_by_magnitude(initial: Weights, masks: Masks, num_bins: int = 10) -> list[MagnitudeBin]:
    """The share of weights kept in each quantile bin of |initial weight|, smallest magnitudes first.

    Bins hold equally many weights (within one); weights of equal magnitude are told apart by canonical order alone. For
    the bins of one layer pass that layer.

    Args:
        initial: at least the parameters that have a mask; others are left out.
        masks: what is kept.
        num_bins: at most as many as there are weights.
    Raises:
        ValueError: if there are fewer weights than bins, or a mask does not fit its weights.
    """
    for name, mask in masks.items():
        if name not in initial or initial[name].shape != mask.shape:
            found = tuple(initial[name].shape) if name in initial else "no weights"
            raise ValueError(f"the mask of {name!r} has shape {tuple(mask.shape)}, its initial weights: {found}")
    total = sum(mask.numel() for mask in masks.values())
    if not 1 <= num_bins <= total:
        raise ValueError(f"{num_bins} bins for {total} weights: ask for 1 to {total}")
    names = sorted(masks)
    magnitudes, order = torch.cat([initial[name].detach().abs().reshape(-1).cpu() for name in names]).sort(stable=True)
    kept = torch.cat([masks[name].reshape(-1).cpu() for name in names])[order]
    return [
        MagnitudeBin(float(size[0]), float(size[-1]), size.numel(), float(survived.double().mean()))
        for size, survived in zip(magnitudes.tensor_split(num_bins), kept.tensor_split(num_bins), strict=True)
    ]
