"""Traces: sums over the steps of a training that later scores look at."""

from collections.abc import Callable, Collection

import torch

from lth.config.choices import Table, check_choice
from lth.sparsity.types import Traces, Weights
from lth.training.population import Population

MOMENTS = "moments"
"""In `Training.traces`: the optimizer's state at the end is kept too. It is no sum, and comes as `Outcome.moments`."""


@torch.no_grad()
def movement_pruning(sums: Weights, population: Population) -> None:
    """Add -gradient * weight of every trainable parameter: positive where weights grow away from zero.

    Called when gradients are masked but not yet clipped, and the step is not yet taken.

    Source: Sanh et al. 2020, arXiv:2005.07683, Section 4.
    """
    terms = [(sums[name], value.grad, value) for name, value in population.parameters.items() if value.grad is not None]
    if terms:
        totals, gradients, weights = (list(each) for each in zip(*terms, strict=True))
        torch._foreach_addcmul_(totals, gradients, weights, value=-1)


SUMS: Table[Callable[[Weights, Population], None]] = Table("trace", {"movement_pruning": movement_pruning})
"""Sums over the steps of a training that a criterion may ask for, by name."""


def empty_sums(kinds: Collection[str], population: Population) -> Traces:
    """Return zeros for every trainable parameter, for those of the kinds that are sums.

    Raises:
        ValueError: if a kind is unknown.
    """
    for kind in kinds:
        check_choice("trace", kind, [*SUMS, MOMENTS])
    return {
        kind: {name: torch.zeros_like(value) for name, value in population.parameters.items()}
        for kind in SUMS
        if kind in kinds
    }
