"""RigL: rigging the lottery."""

from lth.training.sparsifiers.method import Change, View
from lth.training.sparsifiers.regrow import draw, regrow


def rigl(view: View) -> Change:
    """Exchange weights as SET does, but grow them where the gradient of the loss is largest in magnitude.

    Source: Evci et al. 2020, arXiv:1911.11134. There the step at which masks change trains no weights; here the new
    masks take that step like any other, with the gradients of the old ones.
    """
    if view.application.action == "draw":
        return draw(view)
    return regrow(view, {name: gradient.abs() for name, gradient in view.gradients.items()})
