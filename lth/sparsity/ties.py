"""Equal scores at the cut: where the order of indices, and not a score, decided what is pruned."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lth.sparsity.types import Masks, Scores

BULK = 0.01
"""Share of a tensor's weights from which equal scores at the cut are worth a word."""


class Tie(NamedTuple):
    """Equal scores at the cut in one tensor.

    Attributes:
        name: of the tensor.
        equal: weights that had this score before the cut.
        removed: those of them that went, the lower indices first.
    """

    name: str
    equal: int
    removed: int


def ties(
    scores: Scores, masks_before: Masks, masks_after: Masks, groups: Iterable[Sequence[str]] | None = None
) -> list[Tie]:
    """Return the tensors in which weights of one score were told apart by their index alone.

    Args:
        scores: what the masks were chosen by.
        masks_before: masks before the cut; a parameter without one is dense.
        masks_after: masks after it.
        groups: names of the tensors that were ranked together; by default each tensor by itself.
    """
    ties = []
    for name, cut in _cuts(scores, masks_before, masks_after, groups).items():
        is_equal = (scores[name] == cut) & _before(name, scores, masks_before)
        equal, kept = int(is_equal.sum()), int((is_equal & masks_after[name]).sum())
        if equal:
            ties.append(Tie(name, equal, equal - kept))
    return ties


def units_lost_by_ties(
    scores: Scores, masks_before: Masks, masks_after: Masks, groups: Iterable[Sequence[str]] | None = None
) -> dict[str, tuple[int, int]]:
    """Return (rows, columns) that lost their last weights by the order of indices, by tensor; where there are any.

    A row (axis 0) or column (axis 1) counts if nothing of it is left and one of its weights had the very score at
    which weights were kept elsewhere. Arguments are those of `ties`.
    """
    lost = {}
    for name, cut in _cuts(scores, masks_before, masks_after, groups).items():
        if scores[name].ndim >= 2:
            went = (scores[name] == cut) & _before(name, scores, masks_before) & ~masks_after[name]
            rows, columns = (_emptied(went, masks_after[name], axis) for axis in (0, 1))
            if rows or columns:
                lost[name] = (rows, columns)
    return lost


class Decided(NamedTuple):
    """What the order of indices decided in a tensor, over one or several cuts.

    Attributes:
        equal: weights of one score, the most at any cut.
        removed: weights that went though others of their score stayed.
        rows: rows that lost their last weights so.
        columns: columns that lost their last weights so.
    """

    equal: int
    removed: int
    rows: int
    columns: int


def decided_by_ties(
    scores: Scores, masks_before: Masks, masks_after: Masks, groups: Iterable[Sequence[str]] | None = None
) -> dict[str, Decided]:
    """Return the tensors where ties decided in bulk, or took a row's or column's last weights.

    Arguments are those of `ties`.
    """
    groups = None if groups is None else list(groups)
    lost = units_lost_by_ties(scores, masks_before, masks_after, groups)
    return {
        tie.name: Decided(tie.equal, tie.removed, *lost.get(tie.name, (0, 0)))
        for tie in ties(scores, masks_before, masks_after, groups)
        if tie.removed and (tie.name in lost or tie.equal >= max(2, BULK * scores[tie.name].numel()))
    }


def together(some: Mapping[str, Decided], more: Mapping[str, Decided]) -> dict[str, Decided]:
    """Return what ties decided over two cuts."""
    nothing = Decided(0, 0, 0, 0)
    return {
        name: Decided(
            max(first.equal, second.equal),
            first.removed + second.removed,
            first.rows + second.rows,
            first.columns + second.columns,
        )
        for name, first, second in (
            (name, some.get(name, nothing), more.get(name, nothing)) for name in dict.fromkeys((*some, *more))
        )
    }


def describe(decided: Mapping[str, Decided], noun: str = "weights") -> str:
    """Return what ties decided, in one line; `noun` is what was scored."""
    parts = []
    for name, each in decided.items():
        pairs = ((each.rows, "row"), (each.columns, "column"))
        units = " and ".join(_counted(count, what) for count, what in pairs if count)
        lost = f", and {units} lost all weights" if units else ""
        parts.append(f"{name} ({each.removed:,} of {each.equal:,} {noun} of one score went{lost})")
    return ", ".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("s" if number != 1 else "")


def _cuts(
    scores: Scores, masks_before: Masks, masks_after: Masks, groups: Iterable[Sequence[str]] | None
) -> dict[str, float]:
    """Return the score at which each tensor's group was cut, where weights of that score went and others stayed."""
    cuts = {}
    for group in [[name] for name in scores] if groups is None else groups:
        went = [scores[name][_before(name, scores, masks_before) & ~masks_after[name]] for name in group]
        stayed = [scores[name][masks_after[name]] for name in group]
        if any(map(Tensor.numel, went)) and any(map(Tensor.numel, stayed)):
            highest = max(float(each.max()) for each in went if each.numel())
            if highest == min(float(each.min()) for each in stayed if each.numel()):
                cuts.update(dict.fromkeys(group, highest))
    return cuts


def _before(name: str, scores: Scores, masks: Masks) -> Tensor:
    mask = masks.get(name)
    return torch.ones_like(scores[name], dtype=torch.bool) if mask is None else mask.to(scores[name].device)


def _emptied(went: Tensor, left: Tensor, axis: int) -> int:
    """Return how many slices across an axis have lost a weight by a tie and have none left."""
    return int((went.movedim(axis, 0).flatten(1).any(1) & ~left.movedim(axis, 0).flatten(1).any(1)).sum())
