"""What any number of masks share, beside what unrelated masks of the same densities would share.

Chance means: each mask drawn at random, independently, with its own number of kept weights in every tensor. Then of n
weights, of which k_1, k_2, ... are kept, n * prod(k_i / n) are expected in the intersection and
n * (1 - prod(1 - k_i / n)) in the union. For two masks this is `Overlap`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from lth.sparsity.types import Masks


@dataclass(frozen=True, slots=True)
class Sharing:
    """Several masks of the same weights, in counts.

    Attributes:
        num_weights: weights in all.
        sizes: kept by each of the masks.
        union: kept by any.
        intersection: kept by all.
        expected_union: kept by any by chance.
        expected_intersection: kept by all by chance.
    """

    num_weights: int
    sizes: tuple[int, ...]
    union: int
    intersection: int
    expected_union: float
    expected_intersection: float

    @property
    def iou(self) -> float:
        """Intersection over union of the kept weights, in [0, 1]: 1 if and only if all masks are equal."""
        return self.intersection / self.union if self.union else 1.0

    @property
    def chance_iou(self) -> float:
        """The intersection over union by chance: a ratio of expected counts."""
        return self.expected_intersection / self.expected_union if self.expected_union else 1.0


def sharing_by_tensor(masks: Sequence[Masks]) -> dict[str, Sharing]:
    """Return what several masks share, tensor by tensor.

    Args:
        masks: one or more, of the same parameters in the same shapes.
    """
    return {name: _sharing([each[name] for each in masks]) for name in masks[0]}


def sharing_in_all(tensors: Iterable[Sharing]) -> Sharing:
    """Take several tensors together: counts and expected counts are added."""
    tensors = list(tensors)
    return Sharing(
        num_weights=sum(each.num_weights for each in tensors),
        sizes=tuple(map(sum, zip(*(each.sizes for each in tensors), strict=True))),
        union=sum(each.union for each in tensors),
        intersection=sum(each.intersection for each in tensors),
        expected_union=sum(each.expected_union for each in tensors),
        expected_intersection=sum(each.expected_intersection for each in tensors),
    )


def _sharing(masks: list[torch.Tensor]) -> Sharing:
    together = torch.stack(masks)
    num_weights, sizes = masks[0].numel(), tuple(int(mask.sum()) for mask in masks)
    densities = [size / num_weights if num_weights else 0.0 for size in sizes]
    return Sharing(
        num_weights,
        sizes,
        union=int(together.any(0).sum()),
        intersection=int(together.all(0).sum()),
        expected_union=num_weights * (1 - math.prod(1 - each for each in densities)),
        expected_intersection=num_weights * math.prod(densities),
    )
