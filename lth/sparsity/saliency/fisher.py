"""Second-order saliency: the diagonal of optimal brain damage, with the empirical Fisher in place of the Hessian."""

import torch
from torch import Tensor
from torch.func import grad, vmap

from lth.sparsity.batches import examples_at, num_examples
from lth.sparsity.evidence import Evidence, network_of
from lth.sparsity.saliency.running import masked_state, ready
from lth.sparsity.types import Scores, Weights
from lth.tasks import Batch

GRADIENT_FLOATS = 1 << 26
"""Entries of per-example gradients held at once; it decides how many examples run together."""


def fisher(evidence: Evidence) -> Scores:
    """Score w^2 / 2 times the mean over examples of g_i^2 after training, g_i the gradient of one example's loss.

    It estimates how much the loss rises without the weight, at a minimum and by the diagonal alone. Targets are those
    given, not draws from the network's own predictions: the *empirical* Fisher. The example of a language model is its
    whole sequence.

    Raises:
        ValueError: if the evidence has no network.

    Source: LeCun et al. 1990, Optimal Brain Damage; Theis et al. 2018, arXiv:1801.05787.
    """
    network = network_of(evidence, "fisher")
    state, leaves = masked_state(evidence, network, network.end)
    weights = {name: weight.detach() for name, weight in leaves.items()}
    others = {name: value.detach() for name, value in state.items() if name not in weights}

    def loss(weights: Weights, example: Batch) -> Tensor:
        batch = {name: values.unsqueeze(0) for name, values in example.items()}
        return network.task.loss(network.outputs({**others, **weights}, batch), batch)

    per_example = vmap(grad(loss), in_dims=(None, 0))
    total = num_examples(network.batch)
    together = max(1, GRADIENT_FLOATS // sum(weight.numel() for weight in weights.values()))
    squares = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    with ready(network.module):
        for first in range(0, total, together):
            some = examples_at(network.batch, slice(first, first + together))
            for name, gradients in per_example(weights, some).items():
                squares[name] += gradients.square().sum(0)
    return {name: weight.square() * squares[name] / (2 * total) for name, weight in weights.items()}
