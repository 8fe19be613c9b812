"""Gradual pruning: more and more weights go while the network trains."""

from lth.training.sparsifiers.method import Change, View, keep_highest, zeroed


def gradual(view: View) -> Change:
    """Prune the lowest of the remaining weights to zero, down to the density that is due.

    Source: Zhu & Gupta 2017, arXiv:1710.01878. There every layer has the same sparsity (scope `layerwise`), and a
    pruned weight may come back while its layer's mask is redrawn; here masks only shrink.
    """
    masks = keep_highest(view, view.weights, view.masks)
    return Change(masks, zeroed(view.weights, view.masks, masks))
