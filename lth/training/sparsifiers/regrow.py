"""Dropping small weights and regrowing as many in the same layer: the common part of SET and RigL."""

import torch
from torch import Tensor

from lth.sparsity.scope import SCOPES
from lth.sparsity.select import select
from lth.sparsity.types import Masks, Scores, Weights
from lth.training.sparsifiers.method import Change, View, zeroed


def draw(view: View) -> Change:
    """Random masks of the target density, shared out by the scope, among the weights that the caller's masks keep."""
    scores = random_scores(view)
    scope = SCOPES[view.settings.scope_name]
    masks = select(scores, view.allowed, sparsity=view.application.sparsity, scope=scope)
    return Change(masks, zeroed(view.weights, view.masks, masks))


def regrow(view: View, growth: Scores) -> Change:
    """Exchanges the share of kept weights that is due; weights that were pruned before start at zero.

    As in RigL's equations, a weight that was just dropped may grow again at once; it then keeps its value.
    """
    masks = exchange(view.weights, view.masks, view.application.fraction, growth)
    return Change(masks, zeroed(view.weights, view.masks, masks))


def exchange(weights: Weights, masks: Masks, fraction: float, growth: Scores) -> Masks:
    """Masks in which each tensor has lost its smallest kept weights and gained as many with the highest growth scores.

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
    """Flat indices of the lowest `count` scores among the True entries; of equal ones, the first."""
    candidates = among.reshape(-1).nonzero().reshape(-1)
    return candidates[torch.sort(scores.reshape(-1)[candidates], stable=True).indices[:count]]


def random_scores(view: View) -> Scores:
    """Uniform draws in [0, 1), made on the CPU so that every device draws the same."""
    return {
        name: torch.rand(value.shape, generator=view.generator, dtype=torch.float64).to(value.device)
        for name, value in view.weights.items()
    }
