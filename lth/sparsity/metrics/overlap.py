"""How alike two masks are, always beside what two unrelated masks of the same densities would give.

Chance means: both masks drawn at random, independently, each with its own number of kept weights in every tensor. Then
a tensor of n weights of which a and b are kept is expected to have a * b / n kept by both.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from lth.sparsity.types import Masks


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two masks of the same weights, an earlier and a later one, in counts.

    Chance levels are ratios of expected counts (not expectations of the ratio; at the sizes of networks the two agree).

    Attributes:
        num_weights: weights in all.
        earlier: kept by the earlier mask.
        later: kept by the later mask.
        both: kept by both.
        expected_both: kept by both by chance.
    """

    num_weights: int
    earlier: int
    later: int
    both: int
    expected_both: float

    @property
    def iou(self) -> float:
        """Intersection over union of the kept weights, in [0, 1]: 1 if and only if the masks are equal."""
        return _ratio(self.both, self.earlier + self.later - self.both, otherwise=1.0)

    @property
    def chance_iou(self) -> float:
        """The intersection over union by chance; in one tensor of densities a and b: a * b / (a + b - a * b)."""
        return _ratio(self.expected_both, self.earlier + self.later - self.expected_both, otherwise=1.0)

    @property
    def survival(self) -> float:
        """Share of the weights that the earlier mask keeps which the later keeps too; 1 where it keeps none."""
        return _ratio(self.both, self.earlier, otherwise=1.0)

    @property
    def chance_survival(self) -> float:
        """The survival by chance: the later density, where the earlier mask kept weights."""
        return _ratio(self.expected_both, self.earlier, otherwise=1.0)

    @property
    def revival(self) -> float:
        """Share of the weights that the earlier mask prunes which the later keeps; 0 where it prunes none."""
        return _ratio(self.later - self.both, self.num_weights - self.earlier, otherwise=0.0)

    @property
    def chance_revival(self) -> float:
        """The revival by chance: the later density, where the earlier mask pruned weights."""
        return _ratio(self.later - self.expected_both, self.num_weights - self.earlier, otherwise=0.0)


def overlap(earlier: Masks, later: Masks) -> Overlap:
    """Compare two sets of masks over all their tensors; see `overlap_by_tensor`."""
    return pooled(overlap_by_tensor(earlier, later).values())


def overlap_by_tensor(earlier: Masks, later: Masks) -> dict[str, Overlap]:
    """Compare two sets of masks tensor by tensor.

    Args:
        earlier, later: masks of one architecture; a parameter that only one of them masks is dense in the other. The
            order matters to survival and revival alone.
    Raises:
        ValueError: if a tensor has two shapes, or they mask different parameters altogether.
    """
    if earlier and later and not earlier.keys() & later.keys():
        raise ValueError(
            f"the masks have no parameter in common ({', '.join(earlier)}; {', '.join(later)}): compare masks of one "
            "architecture"
        )
    result = {}
    for name in dict.fromkeys((*earlier, *later)):
        # One of the two is there; where the other is not, its parameter is dense.
        first = earlier[name] if name in earlier else torch.ones_like(later[name])
        second = later[name] if name in later else torch.ones_like(first)
        result[name] = _overlap_of_tensor(name, first, second)
    return result


def pooled(overlaps: Iterable[Overlap]) -> Overlap:
    """Take the overlaps of several tensors together: counts and expected counts are added."""
    overlaps = list(overlaps)
    return Overlap(
        num_weights=sum(each.num_weights for each in overlaps),
        earlier=sum(each.earlier for each in overlaps),
        later=sum(each.later for each in overlaps),
        both=sum(each.both for each in overlaps),
        expected_both=sum(each.expected_both for each in overlaps),
    )


def _overlap_of_tensor(name: str, earlier: Tensor, later: Tensor) -> Overlap:
    if earlier.shape != later.shape:
        raise ValueError(
            f"{name!r} has shape {tuple(earlier.shape)} in one and {tuple(later.shape)} in the other: compare masks of "
            "one architecture"
        )
    num_weights, first, second = earlier.numel(), int(earlier.sum()), int(later.sum())
    both = int((earlier & later.to(earlier.device)).sum())
    return Overlap(num_weights, first, second, both, _ratio(first * second, num_weights, otherwise=0.0))


def _ratio(part: float, total: float, otherwise: float) -> float:
    return part / total if total else otherwise
