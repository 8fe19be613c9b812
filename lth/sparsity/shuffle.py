"""Random masks that keep what a ticket's masks keep of each layer: the control of the *structure* of a ticket."""

import torch

from lth.sparsity.types import Masks


def shuffle_within_tensors(masks: Masks, generator: torch.Generator) -> Masks:
    """Permute each tensor's entries at random: the same density per tensor, no structure.

    Args:
        masks: the ticket's masks.
        generator: on the CPU; the draw depends on it alone.
    """
    shuffled = {}
    for name, mask in sorted(masks.items()):
        order = torch.randperm(mask.numel(), generator=generator).to(mask.device)
        shuffled[name] = mask.reshape(-1)[order].reshape(mask.shape)
    return {name: shuffled[name] for name in masks}
