"""The mask criteria of Zhou et al. 2019: each is one line of mathematics of the initial and the final weight.

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
    """|w|: magnitude pruning, by raw magnitudes."""
    return {name: final.abs() for name, final in evidence.final.items()}


def small_final(evidence: Evidence) -> Scores:
    """-|w|."""
    return _each(evidence, lambda initial, final: -final.abs())


def large_init(evidence: Evidence) -> Scores:
    """|w0|."""
    return _each(evidence, lambda initial, final: initial.abs())


def small_init(evidence: Evidence) -> Scores:
    """-|w0|."""
    return _each(evidence, lambda initial, final: -initial.abs())


def large_init_large_final(evidence: Evidence) -> Scores:
    """min(|w|, |w0|): large at both ends."""
    return _each(evidence, lambda initial, final: torch.minimum(final.abs(), initial.abs()))


def large_init_large_final_scaled(evidence: Evidence) -> Scores:
    """min(a|w|, |w0|)."""
    return large_init_large_final(_scaled(evidence))


def small_init_small_final(evidence: Evidence) -> Scores:
    """-max(|w|, |w0|): small at both ends."""
    return _each(evidence, lambda initial, final: -torch.maximum(final.abs(), initial.abs()))


def small_init_small_final_scaled(evidence: Evidence) -> Scores:
    """-max(a|w|, |w0|)."""
    return small_init_small_final(_scaled(evidence))


def magnitude_increase(evidence: Evidence) -> Scores:
    """|w| - |w0|."""
    return _each(evidence, lambda initial, final: final.abs() - initial.abs())


def magnitude_increase_scaled(evidence: Evidence) -> Scores:
    """a|w| - |w0|."""
    return magnitude_increase(_scaled(evidence))


def magnitude_increase_normalised(evidence: Evidence) -> Scores:
    """(|w| - |w0|) / |w0|: relative growth."""
    return _each(evidence, lambda initial, final: (final.abs() - initial.abs()) / _positive(initial))


def movement(evidence: Evidence) -> Scores:
    """|w - w0|. (Movement *pruning*, Sanh et al. 2020, is another criterion: `movement_pruning`.)"""
    return _each(evidence, lambda initial, final: (final - initial).abs())


def movement_normalised(evidence: Evidence) -> Scores:
    """|w - w0| / |w0|."""
    return _each(evidence, lambda initial, final: (final - initial).abs() / _positive(initial))


def large_final_same_sign(evidence: Evidence) -> Scores:
    """max(0, w w0 / |w0|): large weights that kept their sign. Makes supermasks; those that flipped tie at zero."""
    return _each(evidence, lambda initial, final: (final * initial.sign()).clamp(min=0))


def large_final_diff_sign(evidence: Evidence) -> Scores:
    """max(0, -w w0 / |w0|): large weights that changed their sign, the opposite control."""
    return _each(evidence, lambda initial, final: (-final * initial.sign()).clamp(min=0))


def magnitude_increase_same_sign(evidence: Evidence) -> Scores:
    """|w| - |w0| where the sign was kept; all others go first."""
    return _each(evidence, lambda initial, final: _where(final * initial > 0, final.abs() - initial.abs()))


def magnitude_increase_diff_sign(evidence: Evidence) -> Scores:
    """|w| - |w0| where the sign changed; all others go first."""
    return _each(evidence, lambda initial, final: _where(final * initial < 0, final.abs() - initial.abs()))


def random(evidence: Evidence) -> Scores:
    """Uniform draws in [0, 1): every weight is as likely to go."""
    generator = evidence.generator
    return {
        name: torch.rand(final.shape, generator=generator, device=generator.device).to(final.device)
        for name, final in sorted(evidence.final.items())
    }


def _each(evidence: Evidence, score: Callable[[Tensor, Tensor], Tensor]) -> Scores:
    return {name: score(evidence.initial[name], final) for name, final in evidence.final.items()}


def _scaled(evidence: Evidence) -> Evidence:
    """The evidence with each tensor's final weights brought to the root mean square of its initial ones."""
    final = {}
    for name, value in evidence.final.items():
        kept = evidence.masks.get(name, torch.ones_like(value, dtype=torch.bool)).to(value.device)
        norms = [weights[name][kept].float().norm() for weights in (evidence.initial, evidence.final)]
        final[name] = value * (norms[0] / norms[1].clamp(min=torch.finfo(torch.float32).tiny)).to(value.dtype)
    return Evidence(evidence.initial, final, evidence.generator, evidence.masks)


def _positive(initial: Tensor) -> Tensor:
    """|w0|, with zeros (pruned entries, for example) replaced by the smallest normal number."""
    return initial.abs().clamp(min=torch.finfo(initial.dtype).tiny)


def _where(chosen: Tensor, values: Tensor) -> Tensor:
    return torch.where(chosen, values, torch.full_like(values, -torch.inf))
