"""Movement pruning: keep the weights that training drives away from zero."""

from lth.sparsity.evidence import Evidence
from lth.sparsity.types import Scores

TRACE = "movement_pruning"
"""The sum of -g w over the steps of a training."""


def movement_pruning(evidence: Evidence) -> Scores:
    """The sum of -g w over the training, g the gradient of each step: positive where a weight moved away from zero.

    The paper masks by these sums in the forward pass while it trains; here they are summed over an ordinary training,
    and the masks come after it. (Zhou et al.'s |w - w0| is another criterion: `movement`.)

    Raises:
        ValueError: if the training kept no such sums.

    Source: Sanh et al. 2020, arXiv:2005.07683.
    """
    trace = evidence.traces.get(TRACE, {})
    missing = [name for name in evidence.final if name not in trace]
    if missing:
        raise ValueError(
            f"criterion 'movement_pruning' needs what the training summed on its way, but the evidence has no trace "
            f"{TRACE!r} of {', '.join(missing)}. Train with traces={TRACE!r}, or use 'movement', which needs none"
        )
    return {name: trace[name] for name in evidence.final}
