"""Which parameters decay."""

from typing import Any

from lth.config import Training
from lth.sparsity.patterns import matching
from lth.training.population import Population

VECTORS = "vectors"
"""In a list of parameters that do not decay: all of fewer than two dimensions."""


def decay_groups(training: Training, population: Population) -> list[Any]:
    """Return the parameters as an optimizer takes them: in two groups where some do not decay.

    Raises:
        ValueError: if a pattern matches no parameter.
    """
    parameters = population.parameters
    if not training.weight_decay or not training.no_decay:
        return list(parameters.values())
    patterns = [pattern for pattern in training.no_decay if pattern != VECTORS]
    spared = set(matching(parameters, patterns)) if patterns else set()
    if VECTORS in training.no_decay:
        spared |= {name for name, value in parameters.items() if population.own(value, 0).ndim < 2}
    decaying = [value for name, value in parameters.items() if name not in spared]
    others = [value for name, value in parameters.items() if name in spared]
    groups: list[dict[str, Any]] = [{"params": decaying}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
