"""RIA: a weight's share of its output and of its input, times the root of the norm of what it multiplies."""

import torch
from torch import Tensor

from lth.sparsity.evidence import Evidence
from lth.sparsity.saliency.wanda import norms_of_inputs
from lth.sparsity.types import Scores

POWER = 0.5
"""The paper's a, the power of the norm."""


def ria(evidence: Evidence) -> Scores:
    """Score (|w| / sum over its output's weights + |w| / sum over its input's) times the root of ||x||_2.

    So no channel loses all its weights for being small. x are the values that the weight multiplies, as of `wanda`.

    Raises:
        ValueError: as `wanda`.

    Source: Zhang et al. 2024, "Plug-and-play: an efficient post-training pruning method for large language models",
    ICLR, Equations 2 and 3, with a = 0.5.
    """
    weights, norms, axes = norms_of_inputs(evidence, "ria")
    return {name: relative_importance(weight, axes[name]) * norms[name] ** POWER for name, weight in weights.items()}


def relative_importance(weight: Tensor, output_axis: int) -> Tensor:
    """Return each weight's share of all that leads to its output, plus its share of all that its input leads to."""
    size = weight.abs()
    of_inputs = size.sum(output_axis, keepdim=True)
    of_outputs = size.sum([axis for axis in range(size.ndim) if axis != output_axis], keepdim=True)
    least = torch.finfo(size.dtype).tiny
    return size / of_inputs.clamp(min=least) + size / of_outputs.clamp(min=least)
