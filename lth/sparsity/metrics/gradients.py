"""How large the gradients of pruned weights are, beside those of kept ones: what a mask holds back."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from lth.sparsity.types import Masks, Weights


@dataclass(frozen=True, slots=True)
class GradientRms:
    """Root mean square of gradient entries; None where there are no such entries.

    Attributes:
        pruned: over the weights that the mask prunes.
        kept: over those that it keeps.
    """

    pruned: float | None
    kept: float | None


def gradient_rms(gradients: Weights, masks: Masks) -> GradientRms:
    """Root mean square gradient of the pruned and of the kept weights of all masked parameters.

    The mean square rather than the norm, so that the two can be compared whatever the density. RigL (Evci et al. 2020,
    arXiv:1911.11134) regrows pruned weights by their gradients' size.

    Args:
        gradients: by parameter name, as the loss gives them, before anything is masked; others than those with a mask
            are left out.
        masks: what is kept.
    Raises:
        ValueError: if a masked parameter has no gradient, or one of another shape.
    """
    return _rms(_sums(gradients, masks).values())


def gradient_rms_by_tensor(gradients: Weights, masks: Masks) -> dict[str, GradientRms]:
    """Root mean square gradient of the pruned and of the kept weights of each tensor; see `gradient_rms`."""
    return {name: _rms([sums]) for name, sums in _sums(gradients, masks).items()}


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of squares and counts of one tensor."""

    pruned: float
    num_pruned: int
    kept: float
    num_kept: int


def _sums(gradients: Weights, masks: Masks) -> dict[str, _Sums]:
    found = {}
    for name, mask in masks.items():
        gradient = gradients.get(name)
        if gradient is None:
            raise ValueError(f"{name!r} has a mask, but no gradient. Gradients: {', '.join(gradients) or 'none'}")
        if gradient.shape != mask.shape:
            raise ValueError(
                f"the gradient of {name!r} has shape {tuple(gradient.shape)}, its mask {tuple(mask.shape)}: they must "
                "agree"
            )
        keep = mask.to(gradient.device)
        num_kept = int(keep.sum())
        found[name] = _Sums(
            _square_sum(gradient, ~keep), keep.numel() - num_kept, _square_sum(gradient, keep), num_kept
        )
    return found


def _square_sum(gradient: Tensor, chosen: Tensor) -> float:
    # torch.where and not a product: an infinite gradient outside the choice must not become NaN.
    return float(torch.where(chosen, gradient.detach().double(), 0.0).square().sum())


def _rms(sums: Iterable[_Sums]) -> GradientRms:
    sums = list(sums)
    num_pruned, num_kept = sum(each.num_pruned for each in sums), sum(each.num_kept for each in sums)
    return GradientRms(
        pruned=math.sqrt(sum(each.pruned for each in sums) / num_pruned) if num_pruned else None,
        kept=math.sqrt(sum(each.kept for each in sums) / num_kept) if num_kept else None,
    )
