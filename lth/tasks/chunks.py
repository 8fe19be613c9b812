"""Cross-entropy over a large vocabulary, by chunks of positions: never are the logits of all of them held at once."""

import inspect
from collections.abc import Callable
from typing import Any, Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lth.tasks.task import Batch, in_float

MOST_LOGITS = 2**24
"""Logits of a chunk, at most (64 MB in float32); a pass that has no more is not cut."""

ReadOut = Callable[[Tensor, Tensor], Tensor]
"""Hidden states (..., size) and the output matrix (vocabulary, size) -> what the network returns in place of logits."""


@runtime_checkable
class Chunked(Protocol):
    """What a task may offer besides: its loss without all logits. A subclass must offer it anew."""

    def num_logits(self, batch: Batch) -> int:
        """Return how many logits the batch has."""

    def loss_in_chunks(self, call: Callable[..., Any], batch: Batch) -> Tensor:
        """Return the loss of a network that takes `read_out`, as `Task.loss` but for rounding; not under `vmap`."""


def takes_read_out(network: nn.Module) -> bool:
    """Return whether the network's `forward` takes a `read_out` to return the result of instead of logits."""
    return "read_out" in inspect.signature(network.forward).parameters


def chunked_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, ignored: int) -> Tensor:
    """Return the summed cross-entropy of the logits `hidden @ weight.T`, 0-d, in at least float32.

    Args:
        hidden: (..., size).
        weight: (vocabulary, size).
        targets: (...), below the vocabulary.
        ignored: a target that does not count.
    """
    size = max(1, MOST_LOGITS // len(weight))
    total = _InChunks.apply(hidden.flatten(0, -2), weight, targets.flatten(), ignored, size)  # type: ignore[no-untyped-call]
    return cast(Tensor, total)


class _InChunks(torch.autograd.Function):
    """The gradients of a chunk are made beside its loss, while its logits are there: each product is computed once.

    `torch.nn.functional.linear_cross_entropy` does so too, but adds the loss up in bfloat16 where the inputs are: 768
    positions were 5 nats off.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, ignored: int, size: int) -> Tensor:
        weight = weight.detach().requires_grad_()
        of_hidden, of_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        losses = []
        parts = (torch.split(each, size) for each in (hidden, targets, of_hidden))
        for part, wanted, kept in zip(*parts, strict=True):
            part = part.detach().requires_grad_()
            with torch.enable_grad():
                logits = in_float(F.linear(part, weight))
                loss = F.cross_entropy(logits, wanted, ignore_index=ignored, reduction="sum")
            del logits
            gradients = torch.autograd.grad(loss, (part, weight))
            kept.copy_(gradients[0])
            of_weight += gradients[1]
            losses.append(loss.detach())
        ctx.save_for_backward(of_hidden, of_weight)
        return torch.stack(losses).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_hidden, of_weight = ctx.saved_tensors
        return of_hidden.mul_(gradients[0]), of_weight.mul_(gradients[0]), None, None, None
