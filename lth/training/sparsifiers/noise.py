"""Selective noise: the weights that would be pruned are perturbed instead, by new noise in every epoch."""

import torch
from torch import Tensor

from lth.sparsity.actions import DISTRIBUTIONS
from lth.training.sparsifiers.method import Change, View, keep_highest


def noise(view: View) -> Change:
    """Put noise on the lowest weights, which are frozen for an epoch while the others train; at the end they are zero.

    At every change the weights first get back the values that they had before the noise. On these the masks are drawn
    anew, at the target density. What is below the cut is its value plus a draw of mean 0 and standard deviation
    `noise_scale` times that of its layer's values, and is frozen until the next change. So a low weight returns only if
    weights that trained fell below it. The last change prunes the lowest for good, to zero, and puts no noise on any.

    With `release` in the settings the last change prunes nothing: the weights get back their values, and all are kept.

    Validation between the changes sees the noise. It is drawn once an epoch, not at every step as dropout is.
    """
    weights = {
        name: torch.where(view.masks[name] | ~view.allowed[name], value, view.originals.get(name, value))
        for name, value in view.weights.items()
    }
    if view.application.action == "release":
        return Change(dict(view.allowed), weights)
    masks = keep_highest(view, weights, view.allowed)
    pruned = {name: view.allowed[name] & ~mask for name, mask in masks.items()}
    if view.application.action == "harden":
        return Change(masks, {name: value.masked_fill(pruned[name], 0.0) for name, value in weights.items()})
    noisy = {
        name: torch.where(pruned[name], value + _draw(view, name, value), value) for name, value in weights.items()
    }
    return Change(masks, noisy, originals=weights)


def _draw(view: View, name: str, value: Tensor) -> Tensor:
    """Return noise of one tensor's shape, drawn on the CPU so that every device draws the same."""
    unit = DISTRIBUTIONS.pick(view.settings.noise)(value.shape, view.generator)
    return unit.to(value) * view.settings.noise_scale * value[view.allowed[name]].std(correction=0)
