"""Dropping small weights and regrowing as many in the same layer: the common part of SET and RigL."""

import torch
from torch import Tensor

from lth.sparsity.types import Masks, Scores, Weights
from lth.training.sparsifiers.method import Change, View, keep, zeroed


def draw(view: View) -> Change:
    """Draw masks of the target density, shared out by the scope, among the weights that the caller's masks keep."""
    masks = keep(random_scores(view), view.allowed, view.application.density, view.scope)
    return Change(masks, zeroed(view.weights, view.masks, masks))


def regrow(view: View, growth: Scores) -> Change:
    """Exchange the share of kept weights that is due; weights that were pruned before start at zero.

    As in RigL's equations, a weight that was just dropped may grow again at once; it then keeps its value.
    """
    masks = exchange(view.weights, view.masks, view.application.fraction, growth)
    return Change(masks, zeroed(view.weights, view.masks, masks))


def exchange(weights: Weights, masks: Masks, fraction: float, growth: Scores) -> Masks:
    """Return masks that have lost each tensor's smallest kept weights and gained as many where growth scores are high.

    Of a tensor with n kept weights, floor(fraction * n) go. Ties go to the lower index.

    Args:
        weights: present values.
        masks: present masks.
        fraction: share of kept weights to exchange, in [0, 1].
        growth: one score per weight; the highest among all that are not kept after the drop grow.
    """
    exchanged = {}
    for name, mask in masks.items():
        count = int(fraction * int(mask.sum()) + 1e-9)
        new = mask.clone().reshape(-1)
        new[lowest(weights[name].abs(), mask, count)] = False
        new[lowest(-growth[name], ~new.view(mask.shape), count)] = True
        exchanged[name] = new.view(mask.shape)
    return exchanged


def lowest(scores: Tensor, among: Tensor, count: int) -> Tensor:
    """Return the flat indices of the lowest `count` scores among the True entries; of equal ones, the first."""
    candidates = among.reshape(-1).nonzero().reshape(-1)
    return candidates[torch.sort(scores.reshape(-1)[candidates], stable=True).indices[:count]]


def random_scores(view: View) -> Scores:
    """Return uniform draws in [0, 1), made on the CPU so that every device draws the same."""
    return {
        name: torch.rand(value.shape, generator=view.generator, dtype=torch.float64).to(value.device)
        for name, value in view.weights.items()
    }
