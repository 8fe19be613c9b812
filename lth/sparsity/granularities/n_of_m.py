"""N of every M consecutive weights stay: the pattern that sparse tensor cores run (2:4)."""

from fractions import Fraction

import torch
from torch import Tensor
from torch.nn.functional import pad

from lth.sparsity.granularities.structure import Structure
from lth.sparsity.threshold import CHUNK, Key
from lth.sparsity.types import Masks, Scores, Shapes


def keep_n_of_m(
    scores: Scores, masks: Masks, pattern: tuple[int, int], structure: Structure, key: Key | None = None
) -> Masks:
    """Return masks that keep the N highest scores of every M consecutive weights.

    Weights follow one another along the input axis, for each output and each spatial position by itself, as sparse
    tensor cores read them. At the end of the axis a group of length L < M keeps round(L * N / M), at least 1. Among
    equal scores the lower index goes first. What is pruned stays pruned: a group with fewer weights left than asked
    keeps those. Tensors without an input axis are left as they are.

    Args:
        scores: one score per weight.
        masks: a mask for each of them.
        pattern: (N, M).
        structure: where the input axes are.
        key: elementwise function applied to the scores before they are compared.
    Raises:
        ValueError: if the score of a weight that is not pruned yet is NaN.

    Sources: Mishra et al. 2021, arXiv:2104.08378 (2:4 and its axis); Zhou et al. 2021, arXiv:2102.04010 (N:M).
    """
    new = {name: mask.clone() for name, mask in masks.items()}
    for name, axes in structure.axes.items():
        if name in scores:
            values = scores[name].detach().movedim(axes.input, -1)  # (..., input)
            values = values if key is None else key(values)
            mask = _cut(values, masks[name].movedim(axes.input, -1), pattern)
            new[name] = mask.movedim(-1, axes.input).contiguous()
    return new


def num_kept(shapes: Shapes, pattern: tuple[int, int], structure: Structure) -> dict[str, tuple[int, int]]:
    """Return (weights kept, weights in all) of each tensor that `keep_n_of_m` cuts, by name."""
    counts = {}
    for name, axes in structure.axes.items():
        if name in shapes:
            length = shapes[name][axes.input]
            groups = shapes[name].numel() // length
            full, left = divmod(length, pattern[1])
            counts[name] = (groups * (full * pattern[0] + _keep_of(left, pattern)), shapes[name].numel())
    return counts


def check_density(density: float, shapes: Shapes, pattern: tuple[int, int], structure: Structure) -> None:
    """Check that the density is what the pattern keeps: N/M, or what its incomplete groups make of that.

    Raises:
        ValueError: if it is another one, or no tensor has an input axis.
    """
    kept, group = pattern
    counts = num_kept(shapes, pattern, structure)
    if not counts:
        raise ValueError(
            f"granularity '{kept}:{group}' needs tensors of two axes or more; prunable: {', '.join(shapes)}"
        )
    reached = sum(keep for keep, _ in counts.values()) / sum(total for _, total in counts.values())
    if all(abs(density - allowed) > 1e-6 for allowed in (kept / group, reached)):
        share = "half" if 2 * kept == group else str(Fraction(kept, group))
        raise ValueError(
            f"granularity '{kept}:{group}' keeps exactly {share}: ask for density {kept / group:g}, not {density:g}"
        )


def _cut(values: Tensor, mask: Tensor, pattern: tuple[int, int]) -> Tensor:
    """Return the new mask; all three of shape (..., input)."""
    kept, group = pattern
    length = values.shape[-1]
    padding = -length % group
    # Padding is pruned already, so that it is never counted.
    in_groups = pad(values, (0, padding)).reshape(-1, group)
    alive = pad(mask, (0, padding)).reshape(-1, group)
    keep = torch.full((*mask.shape[:-1], (length + padding) // group), kept, device=mask.device)
    if padding:
        keep[..., -1] = _keep_of(group - padding, pattern)
    rows = max(1, CHUNK // group)
    pieces = (torch.split(tensor, rows) for tensor in (in_groups, alive, keep.reshape(-1, 1)))
    cut = torch.cat([_keep_highest(*piece) for piece in zip(*pieces, strict=True)])
    return cut.reshape(*mask.shape[:-1], -1)[..., :length]


def _keep_highest(values: Tensor, alive: Tensor, keep: Tensor) -> Tensor:
    """Keep of each row the `keep` highest among those alive; (group, M), (group, M), (group, 1) -> (group, M)."""
    if bool(values[alive].isnan().any()):
        raise ValueError("a score is NaN: weights cannot be ranked (did the training diverge?)")
    by_score = (values + 0.0).argsort(dim=1, stable=True)  # the sum makes -0.0 0.0
    # A second stable sort puts what is pruned already before the rest, whatever its score.
    order = by_score.gather(1, alive.gather(1, by_score).to(torch.int8).argsort(dim=1, stable=True))
    rank = order.argsort(dim=1)
    return (rank >= values.shape[1] - keep) & alive


def _keep_of(length: int, pattern: tuple[int, int]) -> int:
    """Return how many of an incomplete group stay; halves round up."""
    kept, group = pattern
    return max(1, (2 * length * kept + group) // (2 * group)) if length else 0
