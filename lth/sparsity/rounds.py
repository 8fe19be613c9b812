"""Pruning in many small rounds, each scored anew on what the last one left."""

from collections.abc import Callable
from dataclasses import replace

from lth.sparsity.evidence import Evidence
from lth.sparsity.types import Masks, Scores

Selection = Callable[[Scores, Masks, float], Masks]
"""(scores, masks so far, share of the way in (0, 1]) -> new masks. At a share s of the way the density is the wanted
density ** s, so that it falls by equal factors; at 1 it is the wanted one itself."""


def in_rounds(criterion: Callable[[Evidence], Scores], evidence: Evidence, rounds: int, cut: Selection) -> Masks:
    """Return the masks after `rounds` rounds of scoring and cutting; round r of R cuts to a share r / R of the way.

    Args:
        criterion: scores what the last round left.
        evidence: its masks are where the first round starts.
        rounds: at least 1.
        cut: makes masks of scores, by `select` for example.
    Raises:
        ValueError: if there are no rounds.

    Example:
        >>> in_rounds(synflow, evidence, 100, lambda scores, masks, share: select(
        ...     scores, masks, density=density**share))  # doctest: +SKIP

    Source: Tanaka et al. 2020, arXiv:2006.05467, Algorithm 1.
    """
    if rounds < 1:
        raise ValueError(f"{rounds} rounds prune nothing: ask for at least 1")
    masks = evidence.masks
    for number in range(1, rounds + 1):
        masks = cut(criterion(replace(evidence, masks=masks)), masks, number / rounds)
    return masks
