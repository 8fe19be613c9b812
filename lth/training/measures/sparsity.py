"""How sparse a network is, by its zeros and by its masks, beside what is planned."""

import torch

from lth.sparsity.types import Weights
from lth.training.measures.measure import View
from lth.training.measures.trends import recent, slope


def sparsity(view: View) -> dict[str, float]:
    """Return the share of zeros (prunable weights, all parameters, layer by layer), and of pruned weights.

    `sparsity/overall`, `sparsity/all_parameters` and `layer_sparsity/NAME` count entries that are exactly zero;
    `pruning/sparsity` counts what the masks prune. The two differ where a pruned weight is not zero (soft pruning,
    noise) or a kept one is (a weight that has just grown). `trends/sparsity_slope` is the slope of the first over the
    last ten measurements, by least squares, in shares per step.
    """
    zeros = zeros_of(view.weights)
    total = sum(mask.numel() for mask in view.kept.values())
    pruned = total - _sum([mask.count_nonzero() for mask in view.kept.values()])
    overall = _share(sum(zeros[name] for name in view.kept), total)
    recent(view.memory, view.step, overall)
    return {
        "sparsity/overall": overall,
        "sparsity/all_parameters": _share(sum(zeros.values()), sum(each.numel() for each in view.weights.values())),
        **{f"layer_sparsity/{name}": _share(zeros[name], mask.numel()) for name, mask in view.kept.items()},
        "pruning/sparsity": _share(pruned, total),
        "pruning/target_sparsity": view.target,
        "trends/sparsity_slope": slope(view.memory),
    }


def zeros_of(weights: Weights) -> dict[str, int]:
    """Return how many entries of each tensor are exactly zero."""
    counts = torch.stack([value.numel() - value.count_nonzero() for value in weights.values()]).tolist()
    return dict(zip(weights, counts, strict=True))


def _sum(counts: list[torch.Tensor]) -> int:
    return int(torch.stack(counts).sum()) if counts else 0


def _share(part: int, total: int) -> float:
    return part / total if total else 0.0
