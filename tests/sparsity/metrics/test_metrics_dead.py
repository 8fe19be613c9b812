"""Dead outputs and inputs, by weights or masks."""

import pytest
import torch

from lth.sparsity.metrics import dead_inputs, dead_outputs

FIRST = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, -2.0]])  # unit 1 reads nothing
SECOND = torch.tensor([[0.0, 3.0, 1.0], [0.0, 0.0, 1.0]])  # nothing reads unit 0


def test_by_hand() -> None:
    for first, second in ((FIRST, SECOND), (FIRST != 0, SECOND != 0)):
        assert dead_outputs(first).tolist() == [False, True, False]
        assert dead_inputs(second).tolist() == [True, False, False]


def test_channels_of_a_convolution() -> None:
    weight = torch.ones(3, 2, 2, 2)
    weight[1] = 0
    weight[:, 0] = 0
    assert dead_outputs(weight).tolist() == [False, True, False]
    assert dead_inputs(weight).tolist() == [True, False]


def test_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="a vector has no inputs"):
        dead_outputs(torch.ones(3))
