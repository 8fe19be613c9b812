"""One change of masks for all processes of a distributed training."""

import torch
import torch.distributed as dist
from torch import Tensor

from lth.sparsity.types import Masks, Weights
from lth.training.sparsifiers import Change


def from_first_rank(change: Change | None, masks: Masks, weights: Weights) -> Change | None:
    """Return rank 0's change on every rank; the change itself where there is one process.

    Args:
        change: what this process would do; None for nothing.
        masks: of any values, for their shapes.
        weights: likewise, for their dtypes and their device.
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return change
    device = next(iter(weights.values())).device
    given = torch.tensor([change is not None, bool(change and change.originals)], dtype=torch.uint8, device=device)
    dist.broadcast(given, src=0)
    if not given[0]:
        return None

    def broadcast(tensors: Weights) -> Weights:
        return {name: _broadcast(tensors[name]) for name in masks}  # in one order everywhere

    return Change(
        broadcast(change.masks if change else masks),
        broadcast(change.values if change else weights),
        broadcast(change.originals if change else weights) if given[1] else {},
    )


def _broadcast(tensor: Tensor) -> Tensor:
    sent = tensor.to(torch.uint8) if tensor.dtype == torch.bool else tensor.detach().clone()
    sent = sent.contiguous()
    dist.broadcast(sent, src=0)
    return sent.to(tensor.dtype)
