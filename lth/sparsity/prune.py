"""One level of pruning: criterion, scope, granularity and schedule put together as the settings say."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lth.config import Pruning
from lth.sparsity.criteria import CRITERIA
from lth.sparsity.evidence import Evidence
from lth.sparsity.granularities import granularity
from lth.sparsity.granularities.structure import structure_of
from lth.sparsity.saliency import ROUNDS, in_rounds
from lth.sparsity.schedule import SCHEDULES
from lth.sparsity.scope import SCOPES
from lth.sparsity.select import select
from lth.sparsity.types import Masks, Scores


def prune(evidence: Evidence, module: nn.Module, pruning: Pruning, level: int) -> Masks:
    """The masks of a level, chosen among what `evidence.masks` keeps.

    Args:
        evidence: what the criterion looks at; its weights are the prunable ones, in the order of the network.
        module: the network, for its structure (which weights make up a head, a unit, a channel).
        pruning: the settings.
        level: counts from 1.
    """
    names = list(evidence.final)
    structure, grain = structure_of(module, names), granularity(pruning.granularity)

    def cut(scores: Scores, masks: Masks, share: float) -> Masks:
        """The masks after a share of the way to the level's density, counted in equal factors."""
        return select(
            {name: scores[name] for name in names},
            masks,
            sparsity=1 - target(pruning, level) ** share,
            scope=SCOPES[pruning.scope],
            by_pattern={name: 1 - kept**share for name, kept in targets(pruning, level).items()},
            granularity=grain,
            structure=structure,
        )

    rounds = 1 if grain.pattern else pruning.rounds or ROUNDS.get(pruning.criterion, 1)
    return in_rounds(CRITERIA[pruning.criterion], evidence, rounds, cut)


def target(pruning: Pruning, level: int) -> float:
    """Density that a level is pruned to; N:M has one of its own."""
    if pattern := granularity(pruning.granularity).pattern:
        return pattern[0] / pattern[1]
    return SCHEDULES[pruning.schedule].density(pruning.rate, level, pruning.level_rates)


def targets(pruning: Pruning, level: int) -> Mapping[str, float]:
    """Densities of the patterns that have a rate of their own; listed rates shrink in the same proportion."""
    schedule = SCHEDULES[pruning.schedule]
    for pattern, rate in pruning.rates.items():
        if highest := [each for each in pruning.level_rates if each * rate / pruning.rate >= 1]:
            raise ValueError(
                f"rates: {pattern!r} has {rate / pruning.rate:g} times the usual rate, which at the listed rate "
                f"{max(highest):g} is 1 or more: lower one of them, or set --rate to what {pattern!r} is compared with"
            )
    return {
        pattern: schedule.density(rate, level, [each * rate / pruning.rate for each in pruning.level_rates])
        for pattern, rate in pruning.rates.items()
    }


def examples_per_class(labels: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """Indices of up to `number` random examples of each class, in the order of the data.

    Args:
        labels: (example,).
        number: of each class; a smaller class gives all it has.
        generator: on the CPU.
    """
    order = torch.randperm(len(labels), generator=generator)
    chosen = [order[labels.cpu()[order] == label][:number] for label in torch.unique(labels).cpu()]
    return torch.cat(chosen).sort().values
