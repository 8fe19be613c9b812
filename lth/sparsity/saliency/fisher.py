"""Second-order saliency: the diagonal of optimal brain damage, with the empirical Fisher in place of the Hessian."""

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from lth.sparsity.evidence import Evidence
from lth.sparsity.losses import LOSSES
from lth.sparsity.saliency.running import masked_state, network_of, ready
from lth.sparsity.types import Scores, Weights

GRADIENT_FLOATS = 1 << 26
"""Entries of per-example gradients held at once; it decides how many examples run together."""


def fisher(evidence: Evidence) -> Scores:
    """w^2 / 2 times the mean over examples of g_i^2 at the final weights, g_i the gradient of one example's loss.

    It estimates how much the loss rises without the weight, at a minimum and by the diagonal alone. Labels are those
    given, not draws from the network's own predictions: the *empirical* Fisher.

    Raises:
        ValueError: if the evidence has no network.

    Source: LeCun et al. 1990, Optimal Brain Damage; Theis et al. 2018, arXiv:1801.05787.
    """
    network = network_of(evidence, "fisher")
    whole, weights = masked_state(evidence, network, network.final)
    weights = {name: weight.detach() for name, weight in weights.items()}
    others = {name: value.detach() for name, value in whole.items() if name not in weights}

    def loss(weights: Weights, inputs: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(network.module, {**others, **weights}, (inputs.unsqueeze(0),))
        return LOSSES[network.loss](logits, label.unsqueeze(0))

    per_example = vmap(grad(loss), in_dims=(None, 0, 0))
    together = max(1, GRADIENT_FLOATS // sum(weight.numel() for weight in weights.values()))
    squares = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    with ready(network.module):
        for start in range(0, len(network.labels), together):
            some = slice(start, start + together)
            for name, gradients in per_example(weights, network.inputs[some], network.labels[some]).items():
                squares[name] += gradients.square().sum(0)
    return {name: weight.square() * squares[name] / (2 * len(network.labels)) for name, weight in weights.items()}
