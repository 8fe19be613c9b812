"""Exact selection: which weights survive, by count and never by threshold."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from lth.sparsity.granularities import Granularity, families_of, unstructured
from lth.sparsity.granularities.families import Family
from lth.sparsity.granularities.n_of_m import check_density, keep_n_of_m, num_kept
from lth.sparsity.granularities.structure import Structure
from lth.sparsity.granularities.units import alive_units, unit_scores, unit_sizes, without_dead_units
from lth.sparsity.patterns import matches, matching
from lth.sparsity.scope import Group, Scope, global_scope
from lth.sparsity.threshold import Key, kth_smallest, survivors
from lth.sparsity.types import Masks, Scores, Shapes


def select(
    scores: Scores,
    masks: Masks,
    *,
    density: float,
    scope: Scope = global_scope,
    by_pattern: Mapping[str, float] | None = None,
    key: Key | None = None,
    granularity: Granularity = unstructured,
    structure: Structure | None = None,
) -> Masks:
    """Return masks in which exactly the asked number of weights is kept, those of the highest scores.

    Of a group of n weights, round(n * density) survive. Densities count from all weights of a group, not from the last
    level, so rounding does not add up over levels: eight levels at 20 % on 50 weights leave 8. Among equal scores the
    lower canonical index goes first: tensors in the order of their sorted names, entries in row-major order (`ties`
    says where that decides). What is pruned stays pruned; a group that is sparser than asked already is left as it is.

    With a granularity of units the same holds of units instead of weights: a unit's score is the mean of its weights'
    scores (`unit_scores`), `density` is the fraction of units kept, and a unit is alive as long as one of its
    weights is. Families of coupled tensors take the place of tensors: scopes see the name and shape of their first
    tensor. Tensors that belong to no unit, the output layer's rows among them, keep their masks and do not count.
    N:M fixes the density by itself, in each group of M weights, and scope has no effect (`keep_n_of_m`).

    Args:
        scores: one score per weight of each prunable parameter.
        masks: the masks so far; a parameter without one is dense.
        density: fraction of all weights (units) of a group to be kept in total, in [0, 1].
        scope: how weights are grouped.
        by_pattern: density of the parameters that match a name pattern, where it differs from `density`.
        key: elementwise function applied to the scores before they are compared, without a copy of them all.
        granularity: what goes as one.
        structure: what `structure_of` says of the network; without it outputs are taken to be on axis 0, inputs on
            axis 1, and no layer to be the output layer.
    Returns:
        Fresh masks (`torch.bool`, on the device of the scores) for every parameter in `scores`.
    Raises:
        ValueError: if a density is outside [0, 1], a pattern matches nothing, a score is NaN, the network has nothing
            of the granularity's kind, or N:M is asked for another density than its own.

    Example:
        >>> weights = {"a": torch.tensor([3.0, -1.0, 2.0]), "b": torch.tensor([0.5])}
        >>> select(weights, {}, density=0.5, key=torch.abs)
        {'a': tensor([ True, False,  True]), 'b': tensor([False])}
    """
    by_pattern = dict(by_pattern or {})
    for value in (density, *by_pattern.values()):
        if not 0 <= value <= 1:
            raise ValueError(f"density {value} is outside [0, 1]")
    given = _checked(scores, masks)
    shapes = {name: score.shape for name, score in scores.items()}
    structure = structure or Structure.plain(shapes)
    if granularity.families is None and granularity.pattern is None:
        return _select(scores, given, scope(shapes, density, by_pattern), key)
    old = {name: _mask_or_ones(name, scores, given) for name in scores}
    if granularity.pattern is not None:
        check_density(density, shapes, granularity.pattern, structure)
        if by_pattern:
            warnings.warn(f"rates by pattern have no effect with granularity {granularity.name!r}", stacklevel=2)
        return keep_n_of_m(scores, old, granularity.pattern, structure, key)
    families = families_of(granularity, shapes, structure)
    ranked = {family.name: unit_scores(family, scores, old, key) for family in families}
    before = {family.name: alive_units(family, old) for family in families}
    after = _select(ranked, before, _groups_of(families, shapes, density, scope, by_pattern), key=None)
    new = {name: mask.clone() for name, mask in old.items()}
    for family in families:
        new.update(without_dead_units(family, old, after[family.name]))
    return new


def planned_counts(
    shapes: Shapes,
    *,
    density: float,
    scope: Scope,
    by_pattern: Mapping[str, float] | None = None,
    granularity: Granularity = unstructured,
    structure: Structure | None = None,
) -> list[tuple[Group, int]]:
    """Return how many weights (or units) of each group `select` would keep, without any scores.

    A family of coupled tensors goes by the name of its first tensor; tensors that belong to no unit are not listed.
    """
    budgets = _budgets(shapes, density, scope, dict(by_pattern or {}), granularity, structure)
    return [(budget.group, budget.keep) for budget in budgets]


def planned_density(
    shapes: Shapes,
    *,
    density: float,
    scope: Scope,
    by_pattern: Mapping[str, float] | None = None,
    granularity: Granularity = unstructured,
    structure: Structure | None = None,
) -> float | None:
    """Return the fraction of all prunable weights that `select` would keep of dense masks, without any scores.

    None if it depends on which units survive, because units of different sizes are ranked together.
    """
    total = kept = sum(shape.numel() for shape in shapes.values())
    for budget in _budgets(shapes, density, scope, dict(by_pattern or {}), granularity, structure):
        if not budget.is_even and 0 < budget.keep < budget.num_units:
            return None
        kept -= budget.num_weights * (budget.num_units - budget.keep) // budget.num_units
    return kept / total


@dataclass(frozen=True, slots=True)
class _Budget:
    """What a group keeps: how many units stay, how many weights it has, whether all units are of one size."""

    group: Group
    keep: int
    num_units: int
    num_weights: int
    is_even: bool = True


def _budgets(
    shapes: Shapes,
    density: float,
    scope: Scope,
    by_pattern: Mapping[str, float],
    granularity: Granularity,
    structure: Structure | None,
) -> list[_Budget]:
    structure = structure or Structure.plain(shapes)
    if granularity.pattern is not None:
        check_density(density, shapes, granularity.pattern, structure)
        counts = num_kept(shapes, granularity.pattern, structure).items()
        return [_Budget(Group((name,), keep / total), keep, total, total) for name, (keep, total) in counts]
    if granularity.families is None:
        groups = scope(shapes, density, by_pattern)
        totals = [sum(shapes[name].numel() for name in group.names) for group in groups]
        return [_Budget(group, _keep(n, group), n, n) for group, n in zip(groups, totals, strict=True)]
    families = {family.name: family for family in families_of(granularity, shapes, structure)}
    budgets = []
    for group in _groups_of(families.values(), shapes, density, scope, by_pattern):
        sizes = torch.cat([unit_sizes(families[name], shapes) for name in group.names])
        is_even = bool((sizes == sizes[0]).all())
        budgets.append(_Budget(group, _keep(len(sizes), group), len(sizes), int(sizes.sum()), is_even))
    return budgets


def _groups_of(
    families: Iterable[Family], shapes: Shapes, density: float, scope: Scope, by_pattern: Mapping[str, float]
) -> list[Group]:
    """Return the groups of a scope that sees each family as its first tensor."""
    seen = {family.name: shapes[family.name] for family in families}
    matching(shapes, list(by_pattern))  # a pattern that matches nothing at all is an error
    idle = [pattern for pattern in by_pattern if not any(name in seen for name in matches(pattern, shapes))]
    if idle:
        warnings.warn(
            f"rates of {', '.join(map(repr, idle))} have no effect: this granularity knows rates of {', '.join(seen)}",
            stacklevel=3,
        )
    return scope(seen, density, {pattern: by_pattern[pattern] for pattern in by_pattern if pattern not in idle})


def _select(scores: Scores, masks: Masks, groups: list[Group], key: Key | None) -> Masks:
    """Return masks in which each group keeps the number that it asks for; a score without a mask is dense."""
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
    """Return the masks of these scores, on their device."""
    checked = {}
    for name, score in scores.items():
        mask = masks.get(name)
        if mask is None:
            continue
        if mask.shape != score.shape:
            raise ValueError(
                f"the mask of {name!r} has shape {tuple(mask.shape)}, its weights {tuple(score.shape)}: they must agree"
            )
        checked[name] = mask.to(score.device)
    return checked


def _keep(total: int, group: Group) -> int:
    # n * density of an exact count can miss it by an ulp; a half then must not fall either way by chance.
    return int(total * group.density + 0.5 + 1e-9)
