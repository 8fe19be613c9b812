"""GraSP: keep the weights that carry the gradient flow."""

import torch
from torch import Tensor
from torch.func import functional_call

from lth.sparsity.evidence import Evidence
from lth.sparsity.losses import LOSSES
from lth.sparsity.saliency.running import batches, masked_state, network_of, ready
from lth.sparsity.types import Scores

TEMPERATURE = 200.0
"""What logits are divided by before a softmax, as in the authors' code: no example dominates by its confidence."""


def grasp(evidence: Evidence) -> Scores:
    """w (H g) at the initial weights: g and H are gradient and Hessian of the mean loss by the prunable weights.

    Taking a weight away changes the squared gradient norm by -2 w (H g) to first order. The paper scores -w (H g) and
    removes the *highest*; here the lowest go first, so the sign is turned. Weights go first whose removal raises the
    gradient flow most, and those stay that carry it.

    Batch norms use the statistics of the batch, as in the authors' code. The authors know cross-entropy alone; a loss
    without softmax takes the logits as they are.

    Raises:
        ValueError: if the evidence has no network.

    Source: Wang et al. 2020, arXiv:2002.07376, Algorithm 1.
    """
    network = network_of(evidence, "grasp")
    whole, weights = masked_state(evidence, network, network.initial)
    leaves = list(weights.values())
    temperature = TEMPERATURE if network.loss == "cross_entropy" else 1.0

    def gradients(inputs: Tensor, labels: Tensor, *, create_graph: bool) -> tuple[Tensor, ...]:
        logits = functional_call(network.module, whole, (inputs,)) / temperature
        loss = LOSSES[network.loss](logits, labels, "sum") / len(network.labels)
        return torch.autograd.grad(loss, leaves, create_graph=create_graph, materialize_grads=True)

    total = [torch.zeros_like(leaf) for leaf in leaves]
    product = [torch.zeros_like(leaf) for leaf in leaves]
    with ready(network.module, batch_statistics=True):
        for batch in batches(network):
            found = gradients(*batch, create_graph=False)
            total = [before + more for before, more in zip(total, found, strict=True)]
        for batch in batches(network):
            found = gradients(*batch, create_graph=True)
            flow = torch.stack([(fixed * each).sum() for fixed, each in zip(total, found, strict=True)]).sum()
            found = torch.autograd.grad(flow, leaves, materialize_grads=True)
            product = [before + more for before, more in zip(product, found, strict=True)]
    return {name: weight.detach() * each for (name, weight), each in zip(weights.items(), product, strict=True)}
