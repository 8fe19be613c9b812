"""Losses against torch's own and by hand."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lth.sparsity import LOSSES


def test_mean_squared_error_by_hand() -> None:
    """Squares (0.5, 0.5), (4, 0) and (0, 1) from the one-hot labels; the mean goes over the classes too."""
    logits = torch.tensor([[1.5, 0.5], [2.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 0])
    loss = LOSSES["mean_squared_error"]
    assert loss(logits, labels, "none").tolist() == [0.25, 2.0, 0.5]
    assert float(loss(logits, labels, "sum")) == 2.75
    assert float(loss(logits, labels)) == pytest.approx(2.75 / 3, abs=1e-15)


@given(st.integers(1, 9), st.integers(2, 7), st.integers(0, 1000))
def test_equal_those_of_torch(examples: int, classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(examples, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (examples,), generator=generator)
    one_hot = F.one_hot(labels, classes).double()
    expected = {"cross_entropy": F.cross_entropy(logits, labels), "mean_squared_error": F.mse_loss(logits, one_hot)}
    assert expected.keys() == LOSSES.keys()
    for name, loss in LOSSES.items():
        torch.testing.assert_close(loss(logits, labels), expected[name], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(loss(logits, labels, "none").mean(), expected[name], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(loss(logits, labels, "sum") / examples, expected[name], rtol=1e-12, atol=1e-12)


def test_half_precision_is_computed_in_single() -> None:
    logits = torch.tensor([[256.0, 1.0]], dtype=torch.bfloat16)  # 255 squared would be rounded in bfloat16
    loss = LOSSES["mean_squared_error"](logits, torch.tensor([0]))
    assert (loss.dtype, float(loss)) == (torch.float32, (255.0**2 + 1) / 2)
