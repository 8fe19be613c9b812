"""GraSP: keep the weights that carry the gradient flow."""

import torch
from torch import Tensor

from lth.sparsity.batches import split_batch
from lth.sparsity.evidence import Evidence, network_of
from lth.sparsity.saliency.running import masked_state, ready
from lth.sparsity.types import Scores
from lth.tasks import Batch

TEMPERATURE = 200.0
"""What logits are divided by before a softmax, as in the authors' code: no example dominates by its confidence."""


def grasp(evidence: Evidence) -> Scores:
    """Score w (H g) before training: g and H are gradient and Hessian of the mean loss by the prunable weights.

    Taking a weight away changes the squared gradient norm by -2 w (H g) to first order. The paper scores -w (H g) and
    removes the *highest*; here the lowest go first, so the sign is turned. Weights go first whose removal raises the
    gradient flow most, and those stay that carry it.

    Batch norms use the statistics of the batch, as in the authors' code. The authors know cross-entropy alone; a loss
    without softmax takes the outputs as they are.

    Raises:
        ValueError: if the evidence has no network.

    Source: Wang et al. 2020, arXiv:2002.07376, Algorithm 1.
    """
    network = network_of(evidence, "grasp")
    task = network.task
    full, weights = masked_state(evidence, network, network.start)
    leaves = list(weights.values())
    temperature = TEMPERATURE if getattr(task, "has_softmax", False) else 1.0
    batches, weight_of_all = split_batch(network.batch, task), float(task.weight(network.batch))

    def gradients(batch: Batch, *, create_graph: bool) -> tuple[Tensor, ...]:
        outputs = network.outputs(full, batch) / temperature
        loss = task.loss(outputs, batch) * (float(task.weight(batch)) / weight_of_all)
        return torch.autograd.grad(loss, leaves, create_graph=create_graph, materialize_grads=True)

    total = [torch.zeros_like(leaf) for leaf in leaves]
    product = [torch.zeros_like(leaf) for leaf in leaves]
    with ready(network.module, batch_statistics=True):
        for batch in batches:
            some = gradients(batch, create_graph=False)
            total = [before + more for before, more in zip(total, some, strict=True)]
        for batch in batches:
            some = gradients(batch, create_graph=True)
            flow = torch.stack([(fixed * each).sum() for fixed, each in zip(total, some, strict=True)]).sum()
            some = torch.autograd.grad(flow, leaves, materialize_grads=True)
            product = [before + more for before, more in zip(product, some, strict=True)]
    return {name: weight.detach() * each for (name, weight), each in zip(weights.items(), product, strict=True)}
