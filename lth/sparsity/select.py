"""Exact selection: which weights survive, by count and never by threshold."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch

from lth.sparsity.granularities import Granularity, families_of, unstructured
from lth.sparsity.granularities.families import Family
from lth.sparsity.granularities.n_of_m import check_sparsity, keep_n_of_m, num_kept
from lth.sparsity.granularities.structure import Structure
from lth.sparsity.granularities.units import alive_units, unit_scores, unit_sizes, without_dead_units
from lth.sparsity.patterns import matching
from lth.sparsity.scope import Group, Scope, global_scope
from lth.sparsity.threshold import Key, kth_smallest, survivors
from lth.sparsity.types import Masks, Scores, Shapes


def select(
    scores: Scores,
    masks: Masks,
    *,
    sparsity: float,
    scope: Scope = global_scope,
    by_pattern: Mapping[str, float] | None = None,
    key: Key | None = None,
    granularity: Granularity = unstructured,
    structure: Structure | None = None,
) -> Masks:
    """New masks in which exactly the asked number of weights is removed, the lowest scores first.

    Of a group of n weights, round(n * (1 - sparsity)) survive. Targets count from the whole group, not from the last
    level, so rounding does not add up over levels: eight levels at 20 % on 50 weights leave 8. Among equal scores the
    lower canonical index goes first: tensors in the order of their sorted names, entries in row-major order. What is
    pruned stays pruned; a group that is sparser than asked already is left as it is.

    With a granularity of units the same holds of units instead of weights: a unit's score is the mean of its weights'
    scores (`unit_scores`), `sparsity` is the fraction of units removed, and a unit is alive as long as one of its
    weights is. Families of coupled tensors take the place of tensors: scopes see the name and shape of their first
    tensor. Tensors that belong to no unit, the output layer's rows among them, keep their masks and do not count.
    N:M fixes the sparsity by itself, in each group of M weights, and scope has no effect (`keep_n_of_m`).

    Args:
        scores: one score per weight of each prunable parameter.
        masks: the masks so far; a parameter without one is whole.
        sparsity: fraction of all weights (units) of a group to be removed in total, in [0, 1].
        scope: how weights are grouped.
        by_pattern: sparsity of the parameters that match a name pattern, where it differs from `sparsity`.
        key: elementwise function applied to the scores before they are compared, without a copy of them all.
        granularity: what goes as one.
        structure: what `structure_of` says of the network; without it outputs are taken to be on axis 0, inputs on
            axis 1, and no layer to be the output layer.
    Returns:
        Fresh masks (`torch.bool`, on the device of the scores) for every parameter in `scores`.
    Raises:
        ValueError: if a sparsity is outside [0, 1], a pattern matches nothing, a score is NaN, the network has nothing
            of the granularity's kind, or N:M is asked for another sparsity than its own.

    Example:
        >>> weights = {"a": torch.tensor([3.0, -1.0, 2.0]), "b": torch.tensor([0.5])}
        >>> select(weights, {}, sparsity=0.5, key=torch.abs)
        {'a': tensor([ True, False,  True]), 'b': tensor([False])}
    """
    by_pattern = dict(by_pattern or {})
    for value in (sparsity, *by_pattern.values()):
        if not 0 <= value <= 1:
            raise ValueError(f"sparsity {value} is outside [0, 1]")
    given = _checked(scores, masks)
    shapes = {name: score.shape for name, score in scores.items()}
    structure = structure or Structure.plain(shapes)
    if granularity.families is None and granularity.pattern is None:
        return _select(scores, given, scope(shapes, sparsity, by_pattern), key)
    old = {name: _mask_or_ones(name, scores, given) for name in scores}
    if granularity.pattern is not None:
        check_sparsity(sparsity, shapes, granularity.pattern, structure)
        if by_pattern:
            warnings.warn(f"rates by pattern have no effect with granularity {granularity.name!r}", stacklevel=2)
        return keep_n_of_m(scores, old, granularity.pattern, structure, key)
    families = families_of(granularity, shapes, structure)
    ranked = {family.name: unit_scores(family, scores, old, key) for family in families}
    before = {family.name: alive_units(family, old) for family in families}
    after = _select(ranked, before, _groups_of(families, shapes, sparsity, scope, by_pattern), key=None)
    new = {name: mask.clone() for name, mask in old.items()}
    for family in families:
        new.update(without_dead_units(family, old, after[family.name]))
    return new


def planned_counts(
    shapes: Shapes,
    *,
    sparsity: float,
    scope: Scope,
    by_pattern: Mapping[str, float] | None = None,
    granularity: Granularity = unstructured,
    structure: Structure | None = None,
) -> list[tuple[Group, int]]:
    """How many weights (units, with a granularity of units) of each group `select` would keep, without any scores.

    A family of coupled tensors goes by the name of its first tensor; tensors that belong to no unit are not listed.
    """
    plans = _plans(shapes, sparsity, scope, dict(by_pattern or {}), granularity, structure)
    return [(plan.group, plan.keep) for plan in plans]


def planned_density(
    shapes: Shapes,
    *,
    sparsity: float,
    scope: Scope,
    by_pattern: Mapping[str, float] | None = None,
    granularity: Granularity = unstructured,
    structure: Structure | None = None,
) -> float | None:
    """Fraction of all prunable weights that `select` would keep of whole masks, without any scores.

    None if it depends on which units survive, because units of different sizes are ranked together.
    """
    total = kept = sum(shape.numel() for shape in shapes.values())
    for plan in _plans(shapes, sparsity, scope, dict(by_pattern or {}), granularity, structure):
        if not plan.is_even and 0 < plan.keep < plan.num_units:
            return None
        kept -= plan.num_weights * (plan.num_units - plan.keep) // plan.num_units
    return kept / total


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to become of a group: how many units stay, how many weights it has, whether all units are of one size."""

    group: Group
    keep: int
    num_units: int
    num_weights: int
    is_even: bool = True


def _plans(
    shapes: Shapes,
    sparsity: float,
    scope: Scope,
    by_pattern: Mapping[str, float],
    granularity: Granularity,
    structure: Structure | None,
) -> list[_Plan]:
    structure = structure or Structure.plain(shapes)
    if granularity.pattern is not None:
        check_sparsity(sparsity, shapes, granularity.pattern, structure)
        counts = num_kept(shapes, granularity.pattern, structure).items()
        return [_Plan(Group((name,), 1 - keep / total), keep, total, total) for name, (keep, total) in counts]
    if granularity.families is None:
        groups = scope(shapes, sparsity, by_pattern)
        totals = [sum(shapes[name].numel() for name in group.names) for group in groups]
        return [_Plan(group, _keep(n, group), n, n) for group, n in zip(groups, totals, strict=True)]
    families = {family.name: family for family in families_of(granularity, shapes, structure)}
    plans = []
    for group in _groups_of(families.values(), shapes, sparsity, scope, by_pattern):
        sizes = torch.cat([unit_sizes(families[name], shapes) for name in group.names])
        is_even = bool((sizes == sizes[0]).all())
        plans.append(_Plan(group, _keep(len(sizes), group), len(sizes), int(sizes.sum()), is_even))
    return plans


def _groups_of(
    families: Iterable[Family], shapes: Shapes, sparsity: float, scope: Scope, by_pattern: Mapping[str, float]
) -> list[Group]:
    """The groups of a scope that sees each family as its first tensor."""
    seen = {family.name: shapes[family.name] for family in families}
    matching(shapes, list(by_pattern))  # a pattern that matches nothing at all is an error
    idle = [pattern for pattern in by_pattern if not any(fnmatchcase(name, pattern) for name in seen)]
    if idle:
        warnings.warn(
            f"rates of {', '.join(map(repr, idle))} have no effect: this granularity knows rates of {', '.join(seen)}",
            stacklevel=3,
        )
    return scope(seen, sparsity, {pattern: by_pattern[pattern] for pattern in by_pattern if pattern not in idle})


def _select(scores: Scores, masks: Masks, groups: list[Group], key: Key | None) -> Masks:
    """New masks in which each group keeps the number that it asks for; a score without a mask is whole."""
    new: Masks = {}
    for group in groups:
        names = sorted(group.names)
        total = sum(scores[name].numel() for name in names)
        kept = sum(int(masks[name].sum()) if name in masks else scores[name].numel() for name in names)
        remove = kept - min(kept, _keep(total, group))
        if remove == 0:
            new.update({name: _mask_or_ones(name, scores, masks) for name in names})
            continue
        threshold, below = kth_smallest([(scores[name], masks.get(name)) for name in names], remove, key)
        ties = remove - below
        for name in names:
            new[name], ties = survivors(scores[name], masks.get(name), threshold, ties, key)
    return {name: new[name] for name in scores}


def _mask_or_ones(name: str, scores: Scores, masks: Masks) -> torch.Tensor:
    return masks[name].clone() if name in masks else torch.ones_like(scores[name], dtype=torch.bool)


def _checked(scores: Scores, masks: Masks) -> Masks:
    """The masks of these scores, on their device."""
    found = {}
    for name, score in scores.items():
        mask = masks.get(name)
        if mask is None:
            continue
        if mask.shape != score.shape:
            raise ValueError(
                f"the mask of {name!r} has shape {tuple(mask.shape)}, its weights {tuple(score.shape)}: they must agree"
            )
        found[name] = mask.to(score.device)
    return found


def _keep(total: int, group: Group) -> int:
    # n * (1 - sparsity) of a whole target can miss it by an ulp; a half then must not fall either way by chance.
    return int(total * (1 - group.sparsity) + 0.5 + 1e-9)
