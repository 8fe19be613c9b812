"""Masks made of other masks: union, intersection, majority, difference and complement."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lth.config.choices import Table
from lth.sparsity.types import Masks

Merge = Callable[[Tensor], Tensor]
"""(mask, ...) `torch.bool` -> (...): one tensor's masks in their order -> the merged one."""


def union(masks: Tensor) -> Tensor:
    """Keep what any of the masks keeps."""
    return masks.any(0)


def intersection(masks: Tensor) -> Tensor:
    """Keep what all of the masks keep."""
    return masks.all(0)


def majority(masks: Tensor) -> Tensor:
    """Keep what more than half of the masks keep."""
    return 2 * masks.sum(0) > len(masks)


def difference(masks: Tensor) -> Tensor:
    """Keep what the first mask keeps and no other does."""
    return masks[0] & ~masks[1:].any(0)


MERGES: Table[Merge] = Table(
    "merge", {"union": union, "intersection": intersection, "majority": majority, "difference": difference}
)
"""Ways to make one mask of several, by name."""


def merged(masks: Sequence[Masks], rule: str) -> Masks:
    """Return one set of masks made of several, in fresh tensors.

    Args:
        masks: of one architecture; a parameter that only some of them mask is dense in the others.
        rule: entry of MERGES.
    Raises:
        ValueError: if there are no masks, the rule is unknown, or a tensor has two shapes.
    """
    merge = MERGES.pick(rule)
    if not masks:
        raise ValueError("there are no masks to merge: give one at least")
    result = {}
    for name in dict.fromkeys(name for each in masks for name in each):
        present = [each[name] for each in masks if name in each]
        if shapes := {tuple(mask.shape) for mask in present if mask.shape != present[0].shape}:
            raise ValueError(
                f"{name!r} has shape {tuple(present[0].shape)} in one mask and {shapes.pop()} in another: merge masks "
                "of one architecture"
            )
        dense = torch.ones_like(present[0])
        result[name] = merge(torch.stack([each.get(name, dense).to(dense.device) for each in masks]))
    return result


def complement(masks: Masks) -> Masks:
    """Return masks that keep exactly what these prune; parameters without a mask have none here either."""
    return {name: ~mask for name, mask in masks.items()}
