"""The empirical Fisher against a loop over the examples."""

import pytest
import torch
import torch.nn.functional as F
from saliency_nets import NETWORKS, double, evidence_of, linear, network, random_masks

from lth.sparsity import CRITERIA
from lth.sparsity.saliency import fisher


def test_by_hand() -> None:
    """p = (1/2, 1/2) for both examples: g = (p - y) x is (-1/2, 1/2) x and (1/2, -1/2) x."""
    evidence = evidence_of(linear([2, 0], [2, 0]), double([1, 2], [3, 4]), torch.tensor([0, 1]))
    mean_square = (1 / 4 + 9 / 4) / 2
    assert torch.allclose(CRITERIA["fisher"](evidence)["weight"], double([2 * mean_square, 0], [2 * mean_square, 0]))


@pytest.mark.parametrize("together", [1, 3, 100])
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_a_loop_over_examples(name: str, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many examples run together."""
    module, inputs, labels = network(name, 5)
    masks = random_masks(module)
    monkeypatch.setattr(fisher, "GRADIENT_FLOATS", together * sum(mask.numel() for mask in masks.values()))
    scores = CRITERIA["fisher"](evidence_of(module, inputs, labels, masks))
    module.eval()
    for key, mask in masks.items():
        module.get_parameter(key).data *= mask
    squares = {key: torch.zeros_like(score) for key, score in scores.items()}
    for example, label in zip(inputs.split(1), labels.split(1), strict=True):
        module.zero_grad()
        F.cross_entropy(module(example), label).backward()
        for key in squares:
            squares[key] += module.get_parameter(key).grad.square()
    for key, score in scores.items():
        expected = module.get_parameter(key).detach().square() * squares[key] / 5 / 2
        assert torch.allclose(score, expected, rtol=1e-9, atol=1e-16)
