"""SNIP and first-order Taylor: gradient times weight."""

import pytest
import torch
import torch.nn.functional as F
from saliency_nets import double, evidence_of, linear, network, random_masks
from torch import Tensor, nn

from lth.sparsity import CRITERIA, batches, network_of


def reference(module: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """|g w| by a plain backward pass of the module itself, in the mode that it is in."""
    module.zero_grad()
    F.cross_entropy(module(inputs), labels).backward()
    return {
        name: (value.grad * value).abs().detach() for name, value in module.named_parameters() if value.grad is not None
    }


@pytest.mark.parametrize("criterion", ["snip", "taylor"])
def test_by_hand(criterion: str) -> None:
    """Equal logits, so p = (1/2, 1/2) and g = (p - y) x."""
    evidence = evidence_of(linear([1, 0], [0, 0.5]), double([1, 2]), torch.tensor([0]))
    assert torch.allclose(CRITERIA[criterion](evidence)["weight"], double([0.5, 0], [0, 0.5]))


def test_snip_looks_at_the_start_and_taylor_at_the_end() -> None:
    inputs, labels = double([1, 2], [0, 1]), torch.tensor([0, 1])
    start = {"weight": double([3, 1], [-1, 2])}
    evidence = evidence_of(linear([1, 0], [0, 0.5]), inputs, labels, start=start)
    first, last = (
        reference(linear(*rows), inputs, labels)["weight"] for rows in ([[3, 1], [-1, 2]], [[1, 0], [0, 0.5]])
    )
    assert torch.allclose(CRITERIA["snip"](evidence)["weight"], first)
    assert torch.allclose(CRITERIA["taylor"](evidence)["weight"], last)
    assert not torch.allclose(first, last)


@pytest.mark.parametrize("criterion", ["snip", "taylor"])
def test_equals_a_plain_backward_pass_of_the_masked_network(criterion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the examples take several batches."""
    module, inputs, labels = network("lenet", 11)
    masks = random_masks(module)
    scores = CRITERIA[criterion](evidence_of(module, inputs, labels, masks))
    monkeypatch.setattr(batches, "BATCH", 4)
    in_batches = CRITERIA[criterion](evidence_of(module, inputs, labels, masks))
    for name, mask in masks.items():
        module.get_parameter(name).data *= mask
    expected = reference(module, inputs, labels)
    for name in masks:
        assert torch.allclose(scores[name], expected[name], atol=1e-12)
        assert torch.allclose(in_batches[name], expected[name], atol=1e-12)


def test_batch_norm_uses_the_batch_at_initialisation_and_its_running_statistics_after_training() -> None:
    module, inputs, labels = network("convolutions")
    evidence = evidence_of(module, inputs, labels)
    after = reference(module.eval(), inputs, labels)
    module.first[1].train()
    before = reference(module, inputs, labels)
    for name in evidence.end:
        assert torch.allclose(CRITERIA["taylor"](evidence)[name], after[name], atol=1e-12)
        assert torch.allclose(CRITERIA["snip"](evidence)[name], before[name], atol=1e-12)
        assert not torch.allclose(before[name], after[name])


def test_batches_share_out_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 4)
    for labels in (torch.arange(12) // 4, torch.arange(12) % 3):
        evidence = evidence_of(linear([1, 0]), torch.arange(24.0).reshape(12, 2), labels)
        network = network_of(evidence, "snip")
        parts = batches.split_batch(network.batch, network.task)
        assert [(len(part["y"]), len(part["y"].unique())) for part in parts] == 3 * [(4, 3)]
        assert sorted(torch.cat([part["x"] for part in parts])[:, 0].tolist()) == list(range(0, 24, 2))
