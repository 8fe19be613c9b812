"""Mask actions: which values the kept and the pruned weights start from (Zhou et al. 2019's mask-1 and mask-0 actions).

What kept weights take (rewind, keep, re-initialise) is a choice among whole states, so it needs no function of its own:
pass the earlier state, the trained one or a fresh draw as `kept`.
"""

from collections.abc import Callable

import torch

from lth.sparsity.types import Masks, Weights

PrunedAction = Callable[[Weights], Weights]


def combine(masks: Masks, kept: Weights, pruned: Weights) -> Weights:
    """A fresh state: `kept` where a mask is True, `pruned` where it is False; entries without a mask come from `kept`.

    Kept entries are bit-equal to `kept`, and the result shares no memory with its inputs.

    Args:
        masks: masks of the pruned parameters.
        kept: a whole state: parameters and buffers.
        pruned: at least the parameters that have a mask.
    """
    state = {name: value.detach().clone() for name, value in kept.items()}
    for name, mask in masks.items():
        state[name] = torch.where(mask.to(state[name].device), state[name], pruned[name].to(state[name]))
    return state


def zero(weights: Weights) -> Weights:
    """Zeros in the shape of the weights: the usual end of a pruned weight."""
    return {name: torch.zeros_like(value) for name, value in weights.items()}


PRUNED_ACTIONS: dict[str, PrunedAction] = {"zero": zero}
