"""GraSP against the whole Hessian, and its sign against what removal does to the gradient flow."""

import torch
import torch.nn.functional as F
from saliency_nets import evidence_of, network, random_masks
from torch import Tensor, nn

from lth.sparsity import CRITERIA
from lth.sparsity.saliency.grasp import TEMPERATURE


def small() -> tuple[nn.Module, Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        return module, torch.randn(6, 3, dtype=torch.float64), torch.arange(6) % 2


def loss_of(module: nn.Module, inputs: Tensor, labels: Tensor, flat: Tensor) -> Tensor:
    """The loss as a function of both weight matrices in one vector."""
    hidden = torch.tanh(F.linear(inputs, flat[:12].reshape(4, 3), module[0].bias))
    logits = F.linear(hidden, flat[12:].reshape(2, 4), module[2].bias)
    return F.cross_entropy(logits / TEMPERATURE, labels)


def test_equals_the_hessian_times_the_gradient() -> None:
    module, inputs, labels = small()
    masks = {"0.weight": torch.rand(4, 3, generator=torch.Generator().manual_seed(0)) < 0.7}
    scores = CRITERIA["grasp"](evidence_of(module, inputs, labels, masks))
    weights = torch.cat([(module[0].weight * masks["0.weight"]).flatten(), module[2].weight.flatten()]).detach()

    def loss(flat: Tensor) -> Tensor:
        return loss_of(module, inputs, labels, flat)

    hessian = torch.autograd.functional.hessian(loss, weights)
    gradient = torch.autograd.functional.jacobian(loss, weights)
    expected = weights * (hessian @ gradient)
    found = torch.cat([scores["0.weight"].flatten(), scores["2.weight"].flatten()])
    assert torch.allclose(found, expected, rtol=1e-8, atol=1e-20)
    assert float(expected.abs().max()) > 1e-8


def test_the_first_to_go_raise_the_gradient_flow_and_the_last_carry_it() -> None:
    """Shrinking a weight by a share e changes the squared gradient norm by -2 e times its score."""
    module, inputs, labels = small()
    scores = CRITERIA["grasp"](evidence_of(module, inputs, labels))
    weights = torch.cat([module[0].weight.flatten(), module[2].weight.flatten()]).detach()
    found = torch.cat([scores["0.weight"].flatten(), scores["2.weight"].flatten()])

    def flow(flat: Tensor) -> float:
        gradient = torch.autograd.functional.jacobian(lambda some: loss_of(module, inputs, labels, some), flat)
        return float(gradient.square().sum())

    def change(index: int, share: float) -> float:
        shrunk = weights.clone()
        shrunk[index] *= 1 - share
        return flow(shrunk) - flow(weights)

    for index in (0, 7, 15):
        assert abs(change(index, 1e-5) / (-2e-5 * float(found[index])) - 1) < 1e-3
    assert change(int(found.argmin()), 1e-3) > 0 > change(int(found.argmax()), 1e-3)


def test_fused_attention_and_batch_statistics_have_second_derivatives() -> None:
    """The transformer's attention asks for the fused kernel, which alone would refuse."""
    for name in ("transformer", "convolutions"):
        module, inputs, labels = network(name)
        scores = CRITERIA["grasp"](evidence_of(module, inputs, labels, random_masks(module)))
        assert all(float(score.abs().max()) > 0 for score in scores.values())
