"""Soft pruning: weights are set to zero but train on, until the last change makes the masks hard."""

from lth.training.sparsifiers.method import Change, View, keep_highest


def soft(view: View) -> Change:
    """Set the lowest of all weights to zero, those that came back since the last change among the candidates.

    Source: He et al. 2018, arXiv:1808.06866, who prune whole filters of each layer at one constant rate, after every
    epoch; here single weights, along the curve, at the planned steps.
    """
    masks = keep_highest(view, view.weights, view.allowed)
    values = {name: value.masked_fill(view.allowed[name] & ~masks[name], 0.0) for name, value in view.weights.items()}
    return Change(masks, values)
