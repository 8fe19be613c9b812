"""From weights to units and back: how much a unit scores, whether it is alive, how many weights it has."""

import torch
from torch import Tensor

from lth.sparsity.granularities.families import Family
from lth.sparsity.threshold import Key
from lth.sparsity.types import Masks, Scores, Shapes


def unit_scores(family: Family, scores: Scores, masks: Masks, key: Key | None = None) -> Tensor:
    """Return the mean score of each unit's weights, (unit,), float64 on the CPU; pruned weights count as 0.

    The mean runs over all weights of a unit, pruned ones included, so units of different sizes compare fairly: for
    magnitudes it is the L1 norm over the size, by which Li et al. 2017 (arXiv:1608.08710) rank filters.
    """
    total = torch.zeros(family.num_units, dtype=torch.float64)
    for name, index in family.units.items():
        # On the CPU, so that a sum is the same on every device: a sum by index on a GPU has no fixed order.
        values = scores[name].detach().cpu()
        values = values if key is None else key(values)
        total += _sum_by_unit(torch.where(masks[name].cpu(), values, 0), index, family.num_units)
    return total / unit_sizes(family, {name: scores[name].shape for name in family.units})


def alive_units(family: Family, masks: Masks) -> Tensor:
    """Return which units have a weight left, (unit,), `torch.bool` on the CPU."""
    kept = [_sum_by_unit(masks[name].cpu(), index, family.num_units) for name, index in family.units.items()]
    return torch.stack(kept).sum(0) > 0


def unit_sizes(family: Family, shapes: Shapes) -> Tensor:
    """Return how many weights each unit has, (unit,), int64."""
    sizes = torch.zeros(family.num_units, dtype=torch.int64)
    for name, index in family.units.items():
        sizes += torch.bincount(index.reshape(-1), minlength=family.num_units) * (shapes[name].numel() // index.numel())
    return sizes


def without_dead_units(family: Family, masks: Masks, alive: Tensor) -> Masks:
    """Return the family's masks with the units that are not alive taken out."""
    return {name: masks[name] & alive[index].to(masks[name].device) for name, index in family.units.items()}


def _sum_by_unit(values: Tensor, index: Tensor, num_units: int) -> Tensor:
    axes = [axis for axis, size in enumerate(index.shape) if size == 1]
    # An empty list of axes would mean all of them.
    sums = values.sum(axes, dtype=torch.float64) if axes else values.double()
    return torch.zeros(num_units, dtype=torch.float64).index_add_(0, index.reshape(-1), sums.reshape(-1))
