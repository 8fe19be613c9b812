"""Magnitudes made comparable between layers, for scopes that rank the weights of several."""

import torch
from torch import Tensor

from lth.sparsity.evidence import Evidence
from lth.sparsity.saliency.running import kept
from lth.sparsity.types import Scores


def large_final_layer_normalised(evidence: Evidence) -> Scores:
    """Score |w| divided by the root mean square of the parameter's kept weights; 0 for pruned ones."""
    scores = {}
    for name, end in evidence.end.items():
        mask = kept(evidence, name, end)
        remaining = torch.where(mask, end.detach(), 0)
        mean_square = remaining.double().square().sum() / mask.sum().clamp(min=1)
        scores[name] = remaining.abs() / _positive(mean_square.sqrt().to(end.dtype))
    return scores


def lamp(evidence: Evidence) -> Scores:
    """Score w^2 divided by the sum of w'^2 over the kept weights of the same parameter that rank no lower.

    Scores are float64.

    Within a parameter this ranks as magnitude does (of equal magnitudes the lower index is lower), and the largest
    weight scores 1: with a global scope it chooses the sparsity of each layer, and no layer vanishes before the others.
    Scores of pruned weights are 0.

    Source: Lee et al. 2021, arXiv:2010.07611.
    """
    scores = {}
    for name, end in evidence.end.items():
        squares = (end.detach().double() * kept(evidence, name, end)).square().flatten()
        ascending, order = squares.sort(stable=True)
        no_lower = ascending.flip(0).cumsum(0).flip(0)
        ratios = torch.zeros_like(squares).scatter_(0, order, ascending / _positive(no_lower))
        scores[name] = ratios.reshape(end.shape)
    return scores


def _positive(values: Tensor) -> Tensor:
    """Return the values, with zeros (of a parameter that is zero throughout) replaced by the smallest normal number."""
    return values.clamp(min=torch.finfo(values.dtype).tiny)
