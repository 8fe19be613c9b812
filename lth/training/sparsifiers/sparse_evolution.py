"""SET: sparse evolutionary training."""

from lth.training.sparsifiers.method import Change, View
from lth.training.sparsifiers.regrow import draw, random_scores, regrow


def sparse_evolution(view: View) -> Change:
    """Start from random masks; then drop each layer's smallest kept weights and grow as many at random, from zero.

    Source: Mocanu et al. 2018, arXiv:1707.04383. There the exchanged share is constant (its zeta), the positive weights
    nearest to zero go as well as the negative ones, each by their own share, and new weights are random; here the share
    falls as in RigL, magnitude alone decides, and new weights are zero: the two differ in where weights grow alone.
    """
    return draw(view) if view.application.action == "draw" else regrow(view, random_scores(view))
