"""Losses by name: what a training minimises, and what criteria that ask for gradients take the gradient of."""

from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Reduction = Literal["none", "mean", "sum"]


class Loss(Protocol):
    """A loss of examples with one label each."""

    def __call__(self, logits: Tensor, labels: Tensor, reduction: Reduction = "mean") -> Tensor:
        """(batch, class), (batch,) -> one loss per example (`none`), or their mean or sum over the batch."""


def cross_entropy(logits: Tensor, labels: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Softmax cross-entropy in nats."""
    return F.cross_entropy(logits, labels, reduction=reduction)


def mean_squared_error(logits: Tensor, labels: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Squared distance of the logits to the one-hot label, averaged over the classes, as `torch.nn.MSELoss` does.

    The logits are taken as they are, with no softmax before.
    """
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()  # cross-entropy does this by itself under autocast
    one_hot = labels.unsqueeze(-1) == torch.arange(logits.shape[-1], device=logits.device)
    losses = (logits - one_hot.to(logits.dtype)).square().mean(-1)
    match reduction:
        case "mean":
            return losses.mean()
        case "sum":
            return losses.sum()
        case "none":
            return losses


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "mean_squared_error": mean_squared_error}
