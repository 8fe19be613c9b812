"""Criteria that ask for gradients take those of the loss that the network is trained for."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from saliency_nets import double, evidence_of, linear, network, random_masks
from torch import Tensor, nn

from lth.sparsity import CRITERIA, Evidence, criterion, network_of
from lth.tasks import Classification

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "mean_squared_error": lambda logits, labels: F.mse_loss(logits, F.one_hot(labels, logits.shape[1]).double()),
}


def trained_for(loss: str, evidence: Evidence) -> Evidence:
    """The evidence with another loss."""
    network = network_of(evidence, "any")
    return replace(evidence, network=lambda: replace(network, task=Classification(3, loss)))


def test_by_hand() -> None:
    """Logits (1, 1) and label 0: the mean square (0 + 1) / 2 has gradient (0, 1) at the logits."""
    evidence = evidence_of(linear([1, 0], [0, 0.5]), double([1, 2]), torch.tensor([0]))
    scores = CRITERIA["snip"](trained_for("mean_squared_error", evidence))
    assert torch.allclose(scores["weight"], double([0, 0], [0, 1]))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("criterion", ["snip", "taylor", "fisher"])
def test_equals_plain_backward_passes(criterion: str, loss: str) -> None:
    module, inputs, labels = network("lenet", 11)
    masks = random_masks(module)
    scores = CRITERIA[criterion](trained_for(loss, evidence_of(module, inputs, labels, masks)))
    for name, mask in masks.items():
        module.get_parameter(name).data *= mask
    for name in masks:
        weight = module.get_parameter(name)
        if criterion == "fisher":
            gradients = [
                torch.autograd.grad(LOSSES[loss](module(x), y), weight)[0]
                for x, y in zip(inputs.split(1), labels.split(1), strict=True)
            ]
            expected = weight.square() / 2 * torch.stack(gradients).square().mean(0)
        else:
            expected = (torch.autograd.grad(LOSSES[loss](module(inputs), labels), weight)[0] * weight).abs()
        assert torch.allclose(scores[name], expected, rtol=1e-9, atol=1e-15)


def test_grasp_equals_the_hessian_times_the_gradient_with_no_temperature() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        inputs, labels = torch.randn(6, 3, dtype=torch.float64), torch.arange(6) % 2

    def loss(flat: Tensor) -> Tensor:
        hidden = torch.tanh(F.linear(inputs, flat[:12].reshape(4, 3), module[0].bias))
        logits = F.linear(hidden, flat[12:].reshape(2, 4), module[2].bias)
        return LOSSES["mean_squared_error"](logits, labels)

    weights = torch.cat([module[0].weight.flatten(), module[2].weight.flatten()]).detach()
    gradient = torch.autograd.functional.jacobian(loss, weights)
    expected = weights * (torch.autograd.functional.hessian(loss, weights) @ gradient)
    scores = CRITERIA["grasp"](trained_for("mean_squared_error", evidence_of(module, inputs, labels)))
    found = torch.cat([scores["0.weight"].flatten(), scores["2.weight"].flatten()])
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-15)


def test_no_other_criterion_looks_at_the_loss() -> None:
    module, inputs, labels = network("lenet", 6)
    evidence = evidence_of(module, inputs, labels)
    for name in [name for name in CRITERIA if criterion(name).needs_examples]:
        one, other = (CRITERIA[name](trained_for(loss, evidence)) for loss in LOSSES)
        differs = any(not torch.equal(one[key], other[key]) for key in one)
        assert differs == (name in {"snip", "taylor", "fisher", "grasp"}), name
