"""Movement pruning: keep the weights that training drives away from zero."""

import torch

from lth.sparsity.evidence import Evidence
from lth.sparsity.types import Scores

TRACE = "movement_pruning"
"""The sum of -g w over the steps of a training."""


def movement_pruning(evidence: Evidence) -> Scores:
    """Score the sum of -g w over the training, g the gradient of each step: positive where a weight left zero.

    The paper masks by these sums in the forward pass while it trains; here they are summed over an ordinary training,
    and the masks come after it. A parameter that did not train at all, such as one of a frozen backbone, has moved by
    nothing: it scores 0. (Zhou et al.'s |w - w0| is another criterion: `movement`.)

    Raises:
        ValueError: if the training kept no such sums.

    Source: Sanh et al. 2020, arXiv:2005.07683.
    """
    trace = evidence.traces.get(TRACE, {})
    rest = [name for name in evidence.end if name not in trace]
    missing = [name for name in rest if not trace or not torch.equal(evidence.start[name], evidence.end[name])]
    if missing:
        raise ValueError(
            f"criterion 'movement_pruning' needs what the training summed on its way, but the evidence has no trace "
            f"{TRACE!r} of {', '.join(missing)}. Train with traces={TRACE!r}, or use 'movement', which needs none"
        )
    return {name: trace[name] if name in trace else torch.zeros_like(end) for name, end in evidence.end.items()}
