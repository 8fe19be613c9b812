"""Mask criteria: which weights matter. Each gives one score per weight; the lowest are pruned first."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from lth.sparsity.types import Scores, Weights


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a criterion may look at. All three speak of the prunable parameters only.

    Attributes:
        initial: the weights that the training started from.
        final: the weights that it ended with.
        generator: where a criterion that draws takes its randomness.
    """

    initial: Weights
    final: Weights
    generator: torch.Generator


Criterion = Callable[[Evidence], Scores]


def large_final(evidence: Evidence) -> Scores:
    """|final weight|: magnitude pruning. Source: Zhou et al. 2019, arXiv:1905.01067, Table 1."""
    return {name: final.abs() for name, final in evidence.final.items()}


def random(evidence: Evidence) -> Scores:
    """Uniform draws in [0, 1): every weight is as likely to go. Source: Zhou et al. 2019, arXiv:1905.01067, Table 1."""
    generator = evidence.generator
    return {
        name: torch.rand(final.shape, generator=generator, device=generator.device).to(final.device)
        for name, final in sorted(evidence.final.items())
    }


CRITERIA: dict[str, Criterion] = {"large_final": large_final, "random": random}
