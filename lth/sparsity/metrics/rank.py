"""How many directions a weight matrix really uses: effective rank and stable rank.

A convolution counts as its (output, input * kernel) matrix. Dense matrices only: the cost is that of all singular
values, the shorter side squared times the longer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Ranks:
    """Both ranks of one matrix, each between 1 and the shorter side; 0 for a matrix of zeros."""

    effective: float
    stable: float


def ranks(weight: Tensor) -> Ranks:
    """Return effective and stable rank of a weight, from one decomposition.

    Args:
        weight: (output, input, ...), of any real type; computed in float64.
    Raises:
        ValueError: if it is no matrix, or holds NaN or infinity.
    """
    values = singular_values(weight)
    if values.numel() == 0 or float(values[0]) == 0:
        return Ranks(0.0, 0.0)
    # Both are free of scale; dividing by the largest first keeps squares of tiny or huge values in range.
    relative = values / values[0]
    shares = relative / relative.sum()
    return Ranks(float(torch.special.entr(shares).sum().exp()), float(relative.square().sum()))


def effective_rank(weight: Tensor) -> float:
    """Return exp(entropy of the singular values, normalised to sum 1): n for an n x n identity, 1 for an outer product.

    Source: Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality", EUSIPCO.
    """
    return ranks(weight).effective


def stable_rank(weight: Tensor) -> float:
    """Return ||A||_F^2 / ||A||_2^2: never more than the rank, and hardly moved by small singular values.

    Source: Rudelson & Vershynin 2007, arXiv:math/0503442 ("numerical rank" there).
    """
    return ranks(weight).stable


def singular_values(weight: Tensor) -> Tensor:
    """Return (min(output, input * kernel),) singular values in float64, largest first.

    Raises:
        ValueError: if the weight is no matrix, or holds NaN or infinity.
    """
    if weight.ndim < 2:
        raise ValueError(f"expected (output, input, ...), found shape {tuple(weight.shape)}: a vector has no rank")
    matrix = weight.detach().flatten(1).double()
    if not bool(matrix.isfinite().all()):
        raise ValueError("the weights hold NaN or infinity: they have no rank (did the training diverge?)")
    return torch.linalg.svdvals(matrix) if matrix.numel() else matrix.new_zeros(0)
