"""Exact selection: which weights survive, by count and never by threshold."""

from collections.abc import Mapping
from functools import reduce

import torch

from lth.sparsity.scope import Group, Scope, global_scope
from lth.sparsity.threshold import Key, kth_smallest
from lth.sparsity.types import Masks, Scores, Shapes


def select(
    scores: Scores,
    masks: Masks,
    *,
    sparsity: float,
    scope: Scope = global_scope,
    by_pattern: Mapping[str, float] | None = None,
    key: Key | None = None,
) -> Masks:
    """New masks in which exactly the asked number of weights is removed, the lowest scores first.

    Of a group of n weights, round(n * (1 - sparsity)) survive. Targets count from the whole group, not from the last
    level, so rounding does not add up over levels: eight levels at 20 % on 50 weights leave 8. Among equal scores the
    lower canonical index goes first: tensors in the order of their sorted names, entries in row-major order. What is
    pruned stays pruned; a group that is sparser than asked already is left as it is.

    Args:
        scores: one score per weight of each prunable parameter.
        masks: the masks so far; a parameter without one is whole.
        sparsity: fraction of all weights of a group to be removed in total, in [0, 1].
        scope: how weights are grouped.
        by_pattern: sparsity of the parameters that match a name pattern, where it differs from `sparsity`.
        key: elementwise function applied to the scores before they are compared, without a copy of them all.
    Returns:
        Fresh masks (`torch.bool`, on the device of the scores) for every parameter in `scores`.
    Raises:
        ValueError: if a sparsity is outside [0, 1], a pattern matches nothing, or a score is NaN.

    Example:
        >>> weights = {"a": torch.tensor([3.0, -1.0, 2.0]), "b": torch.tensor([0.5])}
        >>> select(weights, {}, sparsity=0.5, key=torch.abs)
        {'a': tensor([ True, False,  True]), 'b': tensor([False])}
    """
    by_pattern = dict(by_pattern or {})
    for value in (sparsity, *by_pattern.values()):
        if not 0 <= value <= 1:
            raise ValueError(f"sparsity {value} is outside [0, 1]")
    old = {name: _mask_or_ones(name, scores, masks) for name in scores}
    new: Masks = {}
    for group in scope({name: score.shape for name, score in scores.items()}, sparsity, by_pattern):
        names = sorted(group.names)
        total = sum(scores[name].numel() for name in names)
        kept = sum(int(old[name].sum()) for name in names)
        remove = kept - min(kept, _keep(total, group))
        if remove == 0:
            new.update({name: old[name].clone() for name in names})
            continue
        threshold, below = kth_smallest([(scores[name], old[name]) for name in names], remove, key)
        ties = remove - below
        # A threshold from a finer tensor must not be rounded to a coarser one; in the usual case this changes no type.
        common = reduce(torch.promote_types, (scores[name].dtype for name in names))
        for name in names:
            values = scores[name].detach() if key is None else key(scores[name].detach())
            new[name], ties = _cut(values.to(common), old[name], threshold, ties)
    return {name: new[name] for name in scores}


def planned_counts(
    shapes: Shapes, *, sparsity: float, scope: Scope, by_pattern: Mapping[str, float] | None = None
) -> list[tuple[Group, int]]:
    """How many weights of each group `select` would keep, without any scores."""
    groups = scope(shapes, sparsity, dict(by_pattern or {}))
    totals = [sum(shapes[name].numel() for name in group.names) for group in groups]
    return [(group, _keep(total, group)) for group, total in zip(groups, totals, strict=True)]


def _cut(values: torch.Tensor, mask: torch.Tensor, threshold: float, ties: int) -> tuple[torch.Tensor, int]:
    """The mask without values below the threshold and the first `ties` equal ones; and the ties still to remove."""
    survives = ((values > threshold) & mask).contiguous()
    equal = ((values == threshold) & mask).reshape(-1).nonzero().reshape(-1)
    survives.view(-1)[equal[ties:]] = True
    return survives, max(0, ties - equal.numel())


def _mask_or_ones(name: str, scores: Scores, masks: Masks) -> torch.Tensor:
    mask = masks.get(name)
    if mask is None:
        return torch.ones_like(scores[name], dtype=torch.bool)
    if mask.shape != scores[name].shape:
        raise ValueError(
            f"the mask of {name!r} has shape {tuple(mask.shape)}, its weights {tuple(scores[name].shape)}: they "
            f"must agree"
        )
    return mask.to(scores[name].device)


def _keep(total: int, group: Group) -> int:
    # n * (1 - sparsity) of a whole target can miss it by an ulp; a half then must not fall either way by chance.
    return int(total * (1 - group.sparsity) + 0.5 + 1e-9)
