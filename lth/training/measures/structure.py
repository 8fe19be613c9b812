"""What is left of each matrix: units without a weight, and the directions that it uses."""

from lth.sparsity.metrics import dead_inputs, dead_outputs, effective_rank
from lth.training.measures.measure import View


def dead_neurons(view: View) -> dict[str, float]:
    """Return, layer by layer, the share of its outputs and inputs that have no kept weight.

    An output is a unit without any incoming weight, an input one without any outgoing weight.
    """
    values = {}
    for name, kept in view.kept.items():
        if kept.ndim >= 2:
            units = (dead_outputs(kept), dead_inputs(kept))
            dead, total = sum(int(each.sum()) for each in units), sum(each.numel() for each in units)
            values[f"dead_neurons/{name}"] = dead / total if total else 0.0
    return values


def effective_ranks(view: View) -> dict[str, float]:
    """Return the effective rank of each prunable matrix (a convolution as output x input * kernel).

    Source: Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality", EUSIPCO.
    """
    return {
        f"effective_rank/{name}": effective_rank(view.weights[name])
        for name, kept in view.kept.items()
        if kept.ndim >= 2 and bool(view.weights[name].isfinite().all())
    }
