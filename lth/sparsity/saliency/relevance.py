"""Layer-wise relevance propagation: how much of the right answer's output flows through each weight.

Relevance R is carried as G = R / activation. In this form an ordinary gradient carries relevance too: what ReLU,
pooling, dropout (off), reshaping and residual sums receive they hand on without loss, each branch by its share; a
batch norm in evaluation mode is a scaling whose shift keeps its own share. So only products with weights (Linear,
convolutions, the projections of attention) need the rules below; the norm is not merged into the layer before it, so
under z+ a negative gain asks for what supports the output before the norm. Softmax, layer norms and smooth activations
take gradient times activation, the common way out, which does not conserve relevance exactly.

The score of a weight is the sum, over examples and over the places where the weight is used, of the magnitude of the
relevance that flows through it; the relevance starts at the
outputs that explain the right answers, such as the logit of each example's class.

Source: Bach et al. 2015, doi:10.1371/journal.pone.0130140; for pruning (of whole units) Yeom et al. 2021,
arXiv:1912.08881.
"""

import torch
from torch import Tensor

from lth.sparsity.evidence import Evidence
from lth.sparsity.saliency.products import Product, follow, to_inputs, to_weight
from lth.sparsity.types import Scores

EPSILON = 0.01
"""What `lrp_epsilon` adds to the magnitude of each output; it absorbs the relevance of outputs near zero."""


def lrp_epsilon(evidence: Evidence) -> Scores:
    """Score the sum of |a_i w_ij R_j / (z_j + epsilon sign(z_j))| after training, z the outputs with their biases.

    Raises:
        ValueError: if the evidence has no network, or a prunable parameter is used in no product.

    Source: Bach et al. 2015, Equation 58.
    """
    return follow(evidence, "lrp_epsilon", epsilon_rule)[1]


def lrp_z_plus(evidence: Evidence) -> Scores:
    """Score the sum of (a_i w_ij)^+ |R_j| / (sum_i (a_i w_ij)^+ + b_j^+) after training: what supports an output.

    An output that nothing supports passes nothing on.

    Raises:
        ValueError: if the evidence has no network, or a prunable parameter is used in no product.

    Source: Bach et al. 2015, Equation 60, with alpha 1 and beta 0.
    """
    return follow(evidence, "lrp_z_plus", z_plus_rule)[1]


def epsilon_rule(
    product: Product,
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    gradient: Tensor,
    epsilon: float = EPSILON,
) -> tuple[Tensor, Tensor]:
    """Apply LRP-epsilon to one product, in relevance per activation; magnitudes of the messages for the weights."""
    outputs = product(inputs, weight, bias)
    share = gradient * outputs / torch.where(outputs < 0, outputs - epsilon, outputs + epsilon)
    through = weight.abs() * to_weight(product, inputs.abs(), weight, share.abs())
    return to_inputs(product, inputs, weight, share), through


def z_plus_rule(
    product: Product, inputs: Tensor, weight: Tensor, bias: Tensor | None, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """Apply the z+ rule to one product, in relevance per activation; magnitudes of the messages for the weights.

    A positive contribution has an input and a weight of the same sign, so each sign makes a product of its own.
    """
    signs = [(part(inputs), part(weight)) for part in (_positive, _negative)]
    support = product(*signs[0], None if bias is None else _positive(bias)) + product(*signs[1], None)
    relevance = gradient * product(inputs, weight, bias)
    share = torch.where(support > 0, relevance / torch.where(support > 0, support, 1), 0)
    back, through = torch.zeros_like(inputs), torch.zeros_like(weight)
    for some_inputs, some_weight in signs:
        back += torch.where(some_inputs != 0, to_inputs(product, inputs, some_weight, share), 0)
        through += some_weight.abs() * to_weight(product, some_inputs.abs(), weight, share.abs())
    return back, through


def _positive(values: Tensor) -> Tensor:
    return values.clamp(min=0)


def _negative(values: Tensor) -> Tensor:
    return values.clamp(max=0)
