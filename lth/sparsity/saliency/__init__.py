"""Saliencies: criteria that look at more than one weight at a time (gradients, activations, whole layers)."""

from lth.sparsity.saliency.rounds import ROUNDS, Cut, in_rounds
from lth.sparsity.saliency.table import NEEDS_NETWORK, NEEDS_TRACES, SALIENCIES

__all__ = ["NEEDS_NETWORK", "NEEDS_TRACES", "ROUNDS", "SALIENCIES", "Cut", "in_rounds"]
