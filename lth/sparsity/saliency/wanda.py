"""Wanda: magnitude times the norm of what the weight multiplies."""

import torch
from torch import Tensor

from lth.sparsity.evidence import Evidence
from lth.sparsity.saliency.products import Product, follow, to_weight
from lth.sparsity.saliency.running import kept
from lth.sparsity.types import Scores


def wanda(evidence: Evidence) -> Scores:
    """Score the rank of |w| ||x||_2 among the weights of the same output, divided by their number: in [0, 1).

    So any scope takes the same share of each output, as the paper's comparison group asks. Of equal products the
    lower index ranks lower; pruned weights rank below all kept ones.

    Raises:
        ValueError: as `wanda_raw`.

    Source: Sun et al. 2023, arXiv:2306.11695, Section 3.
    """
    products, axes = _products(evidence, "wanda")
    ranks = {}
    for name, values in products.items():
        values = values.masked_fill(~kept(evidence, name, values), -1)
        rows = values.movedim(axes[name], 0).flatten(1)
        order = rows.argsort(dim=1, stable=True)
        places = torch.arange(rows.shape[1], device=rows.device).expand_as(rows)
        rank = torch.empty_like(order).scatter_(1, order, places) / rows.shape[1]
        ranks[name] = rank.reshape(values.movedim(axes[name], 0).shape).movedim(0, axes[name]).contiguous()
    return ranks


def wanda_raw(evidence: Evidence) -> Scores:
    """Score |w| ||x||_2 after training: x are the values that the weight multiplies, over examples and positions.

    A convolution's kernel entry meets only the pixels that fall under it, so x is a column of the unfolded input and
    not its whole channel. Each projection of attention counts its own input: query, key, value or the mixed heads.

    Raises:
        ValueError: if the evidence has no network, or a prunable parameter is used in no product.

    Source: Sun et al. 2023, arXiv:2306.11695, Equation 1.
    """
    return _products(evidence, "wanda_raw")[0]


def _products(evidence: Evidence, criterion: str) -> tuple[Scores, dict[str, int]]:
    weights, norms, axes = norms_of_inputs(evidence, criterion)
    return {name: weight.abs() * norms[name] for name, weight in weights.items()}, axes


def norms_of_inputs(evidence: Evidence, criterion: str) -> tuple[Scores, Scores, dict[str, int]]:
    """Return the weights (pruned ones zero), ||x||_2 of what each multiplies, and the axis of each tensor's outputs.

    Raises:
        ValueError: as `wanda_raw`; `criterion` is named in the message.
    """
    weights, squares, axes = follow(evidence, criterion, _input_squares)
    return weights, {name: each.sqrt() for name, each in squares.items()}, axes


def _input_squares(
    product: Product, inputs: Tensor, weight: Tensor, bias: Tensor | None, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """Write down the sum of the squared inputs of each weight; what goes to the inputs does not matter."""
    return torch.zeros_like(inputs), to_weight(product, inputs.square(), weight, torch.ones_like(gradient))
