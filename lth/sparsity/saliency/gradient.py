"""First-order saliency: how much the loss changes, to first order, when a weight is taken away."""

import torch

from lth.sparsity.batches import split_batch
from lth.sparsity.evidence import Evidence, Network, network_of
from lth.sparsity.saliency.running import masked_state, ready
from lth.sparsity.types import Scores, Weights


def snip(evidence: Evidence) -> Scores:
    """Score |g w| before training, g the gradient of the mean loss over the examples.

    Batch norms use the statistics of the batch, as in training: running statistics say nothing yet. The paper divides
    by the sum of all scores, which changes no ranking and is left away.

    Raises:
        ValueError: if the evidence has no network.

    Source: Lee et al. 2019, arXiv:1810.02340.
    """
    network = network_of(evidence, "snip")
    return _gradient_times_weight(evidence, network, network.start, batch_statistics=True)


def taylor(evidence: Evidence) -> Scores:
    """Score |g w| after training, g the gradient of the mean loss over the examples.

    The paper's importance is (g w)^2, which ranks weights alike; of structures it would sum squares where we sum
    magnitudes.

    Raises:
        ValueError: if the evidence has no network.

    Source: Molchanov et al. 2019, arXiv:1906.10771.
    """
    network = network_of(evidence, "taylor")
    return _gradient_times_weight(evidence, network, network.end, batch_statistics=False)


def _gradient_times_weight(evidence: Evidence, network: Network, state: Weights, *, batch_statistics: bool) -> Scores:
    task = network.task
    full, weights = masked_state(evidence, network, state)
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    weight_of_all = float(task.weight(network.batch))
    with ready(network.module, batch_statistics=batch_statistics):
        for batch in split_batch(network.batch, task):
            loss = task.loss(network.outputs(full, batch), batch) * (float(task.weight(batch)) / weight_of_all)
            gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
            total = {name: total[name] + gradient for name, gradient in zip(weights, gradients, strict=True)}
    return {name: (total[name] * weight.detach()).abs() for name, weight in weights.items()}
