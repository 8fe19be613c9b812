"""Weights that come back: pruned at one measurement, kept at the next."""

import torch

from lth.training.measures.measure import View
from lth.training.measures.trends import mean, recent


def revival(view: View) -> dict[str, float]:
    """Return how many of the weights that were pruned at the measurement before are kept now, and how many are not.

    The rate is a share of those that were pruned, 0 where none was. `trends/avg_revival_rate` is its mean over the last
    ten measurements.
    """
    before = view.before if view.before is not None else view.kept
    counts = [
        torch.stack([(~before[name]).count_nonzero(), (kept & ~before[name]).count_nonzero()])
        for name, kept in view.kept.items()
    ]
    pruned, revived = torch.stack(counts).sum(0).tolist() if counts else (0, 0)
    if view.before is None:  # nothing was pruned before the first
        pruned = revived = 0
    rate = revived / pruned if pruned else 0.0
    recent(view.memory, view.step, rate)
    return {
        "weight_revival/revival_rate": rate,
        "weight_revival/total_revived": float(revived),
        "weight_revival/total_stable_zeros": float(pruned - revived),
        "trends/avg_revival_rate": mean(view.memory),
    }
