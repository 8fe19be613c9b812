"""First-order saliency: how much the loss changes, to first order, when a weight is taken away."""

import torch
from torch.func import functional_call

from lth.sparsity.evidence import Evidence
from lth.sparsity.losses import LOSSES
from lth.sparsity.saliency.running import batches, masked_state, network_of, ready
from lth.sparsity.types import Scores, Weights


def snip(evidence: Evidence) -> Scores:
    """|g w| at the initial weights, g the gradient of the mean loss over the examples.

    Batch norms use the statistics of the batch, as in training: running statistics say nothing yet. The paper divides
    by the sum of all scores, which changes no ranking and is left away.

    Raises:
        ValueError: if the evidence has no network.

    Source: Lee et al. 2019, arXiv:1810.02340.
    """
    network = network_of(evidence, "snip")
    return _gradient_times_weight(evidence, network.initial, "snip", batch_statistics=True)


def taylor(evidence: Evidence) -> Scores:
    """|g w| at the final weights, g the gradient of the mean loss over the examples.

    The paper's importance is (g w)^2, which ranks weights alike; of structures it would sum squares where we sum
    magnitudes.

    Raises:
        ValueError: if the evidence has no network.

    Source: Molchanov et al. 2019, arXiv:1906.10771.
    """
    network = network_of(evidence, "taylor")
    return _gradient_times_weight(evidence, network.final, "taylor", batch_statistics=False)


def _gradient_times_weight(evidence: Evidence, state: Weights, criterion: str, *, batch_statistics: bool) -> Scores:
    network = network_of(evidence, criterion)
    whole, weights = masked_state(evidence, network, state)
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    with ready(network.module, batch_statistics=batch_statistics):
        for inputs, labels in batches(network):
            outputs = functional_call(network.module, whole, (inputs,))
            loss = LOSSES[network.loss](outputs, labels, "sum") / len(network.labels)
            gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
            total = {name: total[name] + gradient for name, gradient in zip(weights, gradients, strict=True)}
    return {name: (total[name] * weight.detach()).abs() for name, weight in weights.items()}
