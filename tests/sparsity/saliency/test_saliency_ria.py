"""RIA: a weight's shares of its output and its input, times the root of the input's norm."""

import pytest
import torch
from saliency_nets import double, evidence_of, linear

from lth.sparsity import CRITERIA
from lth.sparsity.saliency.ria import relative_importance


def test_by_hand() -> None:
    """Input norms are (4, 9): their roots 2 and 3."""
    evidence = evidence_of(linear([1, -3], [1, 1]), double([0, 9], [4, 0]), torch.tensor([0, 1]))
    shares = double([1 / 2 + 1 / 4, 3 / 4 + 3 / 4], [1 / 2 + 1 / 2, 1 / 4 + 1 / 2])
    assert torch.allclose(CRITERIA["ria"](evidence)["weight"], shares * double([2, 3]))


def test_pruned_weights_count_for_nothing() -> None:
    masks = {"weight": torch.tensor([[True, False], [True, True]])}
    evidence = evidence_of(linear([1, -3], [1, 1]), double([0, 9], [4, 0]), torch.tensor([0, 1]), masks)
    found = CRITERIA["ria"](evidence)["weight"]
    assert torch.allclose(found, double([(1 / 2 + 1) * 2, 0], [(1 / 2 + 1 / 2) * 2, (1 + 1 / 2) * 3]))


def test_an_output_without_weights_has_no_share() -> None:
    found = relative_importance(torch.tensor([[0.0, 0.0], [1.0, 3.0]]), 0)
    assert found.tolist() == [[0, 0], [1.25, 1.75]]


def test_inputs_first() -> None:
    weight = torch.tensor([[1.0, -3.0], [1.0, 1.0]])
    assert torch.equal(relative_importance(weight.T, 1), relative_importance(weight, 0).T)


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_the_scale_of_a_matrix_does_not_matter(factor: float) -> None:
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(relative_importance(factor * weight, 0), relative_importance(weight, 0))
