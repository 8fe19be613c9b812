"""One level of pruning: criterion, scope, granularity and schedule put together as the settings say."""

import warnings
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from lth.config import Pruning
from lth.sparsity.batches import examples_at
from lth.sparsity.criteria import criterion
from lth.sparsity.entries import Entry, entries_of
from lth.sparsity.evidence import Evidence
from lth.sparsity.granularities import Granularity, Structure, families_of, granularity, structure_of
from lth.sparsity.granularities.units import alive_units, unit_scores
from lth.sparsity.rounds import in_rounds
from lth.sparsity.schedule import after_equal_steps, schedule
from lth.sparsity.scope import Group, with_evidence
from lth.sparsity.scopes import SCOPES
from lth.sparsity.select import planned_counts, select
from lth.sparsity.ties import Decided, decided_by_ties, describe, together
from lth.sparsity.types import Masks, Scores


def prune(evidence: Evidence, module: nn.Module, pruning: Pruning, level: int) -> Masks:
    """Return the masks of a level, chosen among what `evidence.masks` keeps.

    Warns once, in one line, where equal scores decided in bulk.

    Args:
        evidence: what the criterion looks at; its weights are the prunable ones, in the order of the network.
        module: the network, for its structure (which weights make up a head, a unit, a channel).
        pruning: the settings.
        level: counts from 1.
    """
    names, grain, chosen = list(evidence.end), granularity(pruning.granularity), criterion(pruning.criterion)
    structure = _structure(evidence, module, names, grain)
    density, by_pattern = density_of_level(pruning, level), densities_by_pattern(pruning, level)
    protected, first = settled_entries(module, names, pruning)
    decided: dict[str, Decided] = {}

    def cut(scores: Scores, masks: Masks, share: float) -> Masks:
        """Return the masks after a share of the way to the level's density, counted in equal factors."""
        nonlocal decided
        scores = with_scores({name: scores[name] for name in names}, protected, torch.inf)
        scores = with_scores(scores, first, -torch.inf)
        settings = {
            "density": density**share,
            "scope": with_evidence(SCOPES.pick(pruning.scope), replace(evidence, masks=masks)),
            "by_pattern": {pattern: each**share for pattern, each in by_pattern.items()},
            "granularity": grain,
            "structure": structure,
        }
        new = select(scores, masks, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `select` has said it
            groups = [group for group, _ in planned_counts({n: s.shape for n, s in scores.items()}, **settings)]
        decided = together(decided, _decided_by_ties(scores, masks, new, groups, grain, structure))
        return new

    rounds = 1 if grain.pattern else pruning.rounds or chosen.rounds
    masks = in_rounds(chosen, evidence, rounds, cut)
    if decided:
        noun = "weights" if grain.families is None else "units"
        warnings.warn(
            f"criterion {pruning.criterion!r} gives equal scores in bulk, so the order of indices decided: "
            f"{describe(decided, noun)}. Choose another criterion, or leave such tensors out",
            stacklevel=2,
        )
    return masks


def settled_entries(module: nn.Module, names: list[str], pruning: Pruning) -> tuple[list[Entry], list[Entry]]:
    """Return the weights that are never pruned, and those that are pruned first.

    Raises:
        ValueError: if one does not exist, is not among the prunable weights, or is both.
    """
    protected, first = entries_of(module, pruning.protect), entries_of(module, pruning.prune_first)
    for setting, entries in (("protect", protected), ("prune_first", first)):
        for entry in entries:
            if entry.name not in names:
                raise ValueError(f"{setting}: {entry.text!r} is in {entry.name}, which is not pruned: leave it out")
    kept = {(entry.name, entry.index) for entry in protected}
    for entry in first:
        if (entry.name, entry.index) in kept:
            raise ValueError(f"prune_first: {entry.text!r} is in protect too: leave it out of one of them")
    return protected, first


def with_scores(scores: Scores, entries: list[Entry], score: float) -> Scores:
    """Return scores in which some entries have another: an infinite one decides, and counts stay exact."""
    changed = dict(scores)
    for name in {entry.name for entry in entries}:
        changed[name] = scores[name].clone()
        for entry in entries:
            if entry.name == name:
                changed[name][entry.index] = score
    return changed


def density_of_level(pruning: Pruning, level: int) -> float:
    """Return the density that a level is pruned to; N:M has one of its own."""
    if pattern := granularity(pruning.granularity).pattern:
        return pattern[0] / pattern[1]
    if pruning.per_level is not None:
        return after_equal_steps(pruning.per_level, level)
    return schedule(pruning.schedule).density(pruning.rate, level, pruning.level_rates)


def densities_by_pattern(pruning: Pruning, level: int) -> Mapping[str, float]:
    """Return the densities of the patterns that have a rate of their own; listed rates shrink in the same proportion.

    Raises:
        ValueError: if a listed rate becomes 1 or more so.
    """
    rates = pruning.rates or {}
    for pattern, rate in rates.items():
        if highest := [each for each in pruning.level_rates if each * rate / pruning.rate >= 1]:
            raise ValueError(
                f"rates: {pattern!r} has {rate / pruning.rate:g} times the usual rate, which at the listed rate "
                f"{max(highest):g} is 1 or more: lower one of them, or set --rate to what {pattern!r} is compared with"
            )
    return {
        pattern: schedule(pruning.schedule).density(
            rate, level, [each * rate / pruning.rate for each in pruning.level_rates]
        )
        for pattern, rate in rates.items()
    }


def _structure(evidence: Evidence, module: nn.Module, names: list[str], grain: Granularity) -> Structure | None:
    """Return what a granularity needs to know of the network; single weights need nothing."""
    if grain.families is None and grain.pattern is None:
        return None
    if grain.families is None or evidence.network is None:
        return structure_of(module, names)
    network = evidence.network()
    few = examples_at(network.batch, slice(0, 2))

    def run() -> Tensor:
        return network.task.forward(network.module, few)

    return structure_of(network.module, names, run)


def _decided_by_ties(
    scores: Scores, before: Masks, after: Masks, groups: list[Group], grain: Granularity, structure: Structure | None
) -> dict[str, Decided]:
    if grain.pattern is not None:
        return {}  # N of every M are told apart in groups of M: there is no one cut
    names = [group.names for group in groups]
    if grain.families is None:
        return decided_by_ties(scores, before, after, names)
    assert structure is not None
    full = {name: before[name] if name in before else torch.ones_like(mask) for name, mask in after.items()}
    families = families_of(grain, {name: score.shape for name, score in scores.items()}, structure)
    return decided_by_ties(
        {family.name: unit_scores(family, scores, full) for family in families},
        {family.name: alive_units(family, full) for family in families},
        {family.name: alive_units(family, after) for family in families},
        names,
    )
