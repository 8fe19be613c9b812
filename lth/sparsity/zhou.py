"""The mask criteria of Zhou et al. 2019: each is one line of mathematics of the starting and the trained weight.

Source: arXiv:1905.01067, Section 2 and Section 5 (signs); names as in the authors' released experiments. w0 is the
weight at the start of the training, w the weight at its end. *Scaled* variants multiply |w| by a, *normalised* ones
divide by |w0|. The paper leaves a open; here it is the ratio of root mean squares of w0 and w over the tensor's kept
weights, so that weights which only grew with their layer count as unchanged.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from lth.sparsity.evidence import Evidence
from lth.sparsity.types import Scores


def large_final(evidence: Evidence) -> Scores:
    """Score |w|: magnitude pruning, by raw magnitudes."""
    return {name: end.abs() for name, end in evidence.end.items()}


def small_final(evidence: Evidence) -> Scores:
    """Score -|w|."""
    return _each(evidence, lambda start, end: -end.abs())


def large_init(evidence: Evidence) -> Scores:
    """Score |w0|."""
    return _each(evidence, lambda start, end: start.abs())


def small_init(evidence: Evidence) -> Scores:
    """Score -|w0|."""
    return _each(evidence, lambda start, end: -start.abs())


def large_init_large_final(evidence: Evidence) -> Scores:
    """Score min(|w|, |w0|): large at both ends."""
    return _each(evidence, lambda start, end: torch.minimum(end.abs(), start.abs()))


def large_init_large_final_scaled(evidence: Evidence) -> Scores:
    """Score min(a|w|, |w0|)."""
    return large_init_large_final(_scaled(evidence))


def small_init_small_final(evidence: Evidence) -> Scores:
    """Score -max(|w|, |w0|): small at both ends."""
    return _each(evidence, lambda start, end: -torch.maximum(end.abs(), start.abs()))


def small_init_small_final_scaled(evidence: Evidence) -> Scores:
    """Score -max(a|w|, |w0|)."""
    return small_init_small_final(_scaled(evidence))


def magnitude_increase(evidence: Evidence) -> Scores:
    """Score |w| - |w0|."""
    return _each(evidence, lambda start, end: end.abs() - start.abs())


def magnitude_increase_scaled(evidence: Evidence) -> Scores:
    """Score a|w| - |w0|."""
    return magnitude_increase(_scaled(evidence))


def magnitude_increase_normalised(evidence: Evidence) -> Scores:
    """Score (|w| - |w0|) / |w0|: relative growth."""
    return _each(evidence, lambda start, end: (end.abs() - start.abs()) / _positive(start))


def movement(evidence: Evidence) -> Scores:
    """Score |w - w0|. (Movement *pruning*, Sanh et al. 2020, is another criterion: `movement_pruning`.)"""
    return _each(evidence, lambda start, end: (end - start).abs())


def movement_normalised(evidence: Evidence) -> Scores:
    """Score |w - w0| / |w0|."""
    return _each(evidence, lambda start, end: (end - start).abs() / _positive(start))


def large_final_same_sign(evidence: Evidence) -> Scores:
    """Score max(0, w w0 / |w0|): large weights that kept their sign. Makes supermasks; flipped ones tie at zero."""
    return _each(evidence, lambda start, end: (end * start.sign()).clamp(min=0))


def large_final_diff_sign(evidence: Evidence) -> Scores:
    """Score max(0, -w w0 / |w0|): large weights that changed their sign, the opposite control."""
    return _each(evidence, lambda start, end: (-end * start.sign()).clamp(min=0))


def magnitude_increase_same_sign(evidence: Evidence) -> Scores:
    """Score |w| - |w0| where the sign was kept; all others go first."""
    return _each(evidence, lambda start, end: _where(end * start > 0, end.abs() - start.abs()))


def magnitude_increase_diff_sign(evidence: Evidence) -> Scores:
    """Score |w| - |w0| where the sign changed; all others go first."""
    return _each(evidence, lambda start, end: _where(end * start < 0, end.abs() - start.abs()))


def random(evidence: Evidence) -> Scores:
    """Score by uniform draws in [0, 1): every weight is as likely to go."""
    generator = evidence.generator
    return {
        name: torch.rand(end.shape, generator=generator, device=generator.device).to(end.device)
        for name, end in sorted(evidence.end.items())
    }


def _each(evidence: Evidence, score: Callable[[Tensor, Tensor], Tensor]) -> Scores:
    return {name: score(evidence.start[name], end) for name, end in evidence.end.items()}


def _scaled(evidence: Evidence) -> Evidence:
    """Return the evidence with each tensor's trained weights at the root mean square of its starting ones."""
    end = {}
    for name, value in evidence.end.items():
        kept = evidence.masks.get(name, torch.ones_like(value, dtype=torch.bool)).to(value.device)
        norms = [weights[name][kept].float().norm() for weights in (evidence.start, evidence.end)]
        end[name] = value * (norms[0] / norms[1].clamp(min=torch.finfo(torch.float32).tiny)).to(value.dtype)
    return Evidence(evidence.start, end, evidence.generator, evidence.masks)


def _positive(start: Tensor) -> Tensor:
    """Return |w0|, with zeros (pruned entries, for example) replaced by the smallest normal number."""
    return start.abs().clamp(min=torch.finfo(start.dtype).tiny)


def _where(chosen: Tensor, values: Tensor) -> Tensor:
    return torch.where(chosen, values, torch.full_like(values, -torch.inf))
