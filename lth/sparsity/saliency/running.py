"""Running the network of the evidence with its weights masked, and leaving its module as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lth.sparsity.evidence import Evidence, Network
from lth.sparsity.types import Weights


def masked_state(evidence: Evidence, network: Network, state: Weights) -> tuple[Weights, Weights]:
    """Return a full state for `functional_call` with pruned entries at zero, and of it the prunable weights as leaves.

    Entries that the training itself had frozen stay at their value (`Network.frozen`).
    Buffers are copies: a batch norm may write to them. A tensor that has several names comes under its first one.

    Args:
        evidence: whose masks count; its `end` says which parameters are prunable.
        network: whose module the state is for.
        state: the network's `start` or `end`.
    """
    full = {name: state[name].detach() for name, _ in network.module.named_parameters()}
    full |= {name: state.get(name, value).detach().clone() for name, value in network.module.named_buffers()}
    weights = {
        name: torch.where(kept(evidence, name, full[name]) | _frozen(network, name, full[name]), full[name], 0)
        for name in evidence.end
    }
    for weight in weights.values():
        weight.requires_grad_()
    return full | weights, weights


def kept(evidence: Evidence, name: str, value: Tensor) -> Tensor:
    """Return the mask of a parameter, on the device of its value; True everywhere where it has none."""
    mask = evidence.masks.get(name)
    return torch.ones_like(value, dtype=torch.bool) if mask is None else mask.to(value.device)


def _frozen(network: Network, name: str, value: Tensor) -> Tensor:
    mask = network.frozen.get(name)
    return torch.zeros_like(value, dtype=torch.bool) if mask is None else ~mask.to(value.device)


@contextmanager
def ready(module: nn.Module, *, batch_statistics: bool = False) -> Iterator[None]:
    """Put the module in evaluation mode (no dropout), with gradients on; every part's own mode comes back afterwards.

    Attention runs as plain mathematics: the fused kernels have no second derivative and no batching rule.

    Args:
        module: the network's.
        batch_statistics: batch norms normalise by the batch, as in training, not by their running statistics.
    """
    modes = {part: part.training for part in module.modules()}
    try:
        for part in modes:
            part.training = batch_statistics and isinstance(part, nn.modules.batchnorm._BatchNorm)
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
