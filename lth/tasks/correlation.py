"""Correlations of two series of values, and their ranks."""

import math

import torch
from torch import Tensor


def pearson(one: Tensor, other: Tensor) -> float:
    """Return the correlation of two series in float64, (example,) each.

    0 where one of them is constant, for which it is not defined (`scipy.stats.pearsonr` gives NaN there); NaN where a
    value is not finite.
    """
    if not (one.isfinite().all() and other.isfinite().all()):
        return math.nan
    if (one == one[0]).all() or (other == other[0]).all():
        return 0.0
    units = []
    for values in (one, other):
        centred = values - values.mean()
        centred = centred / centred.abs().max()  # squares of what is tiny or huge stay in range
        units.append(centred / centred.norm())
    return min(max(float(units[0] @ units[1]), -1.0), 1.0)


def spearman(one: Tensor, other: Tensor) -> float:
    """Return the rank correlation of two series, (example,) each: as `pearson`, of their ranks."""
    if not (one.isfinite().all() and other.isfinite().all()):
        return math.nan
    return pearson(ranks(one), ranks(other))


def ranks(values: Tensor) -> Tensor:
    """Return the ranks of values, (example,) from 1 in float64; those of equal values are their average."""
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    average: Tensor = (2 * counts.cumsum(0) - counts + 1).double() / 2
    return average[place]
