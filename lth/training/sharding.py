"""One network's parameters shared out over ranks, where it does not fit on one device (PyTorch's FSDP2).

Each rank holds the rows of every parameter that are its own, and so of gradients, masks, moments and best weights; a
block of the network is gathered for its passes alone. What lies on disk is whole, as ever.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from lth.config import Training
from lth.training.ranks import Ranks

if TYPE_CHECKING:
    from lth.training.population import Member


def check_shardable(module: nn.Module, training: Training, members: "Sequence[Member]", ranks: Ranks) -> None:
    """Check that a training can go over ranks that share out the parameters.

    Raises:
        ValueError: if it cannot; says why.
    """
    wanted = {
        "several processes (torchrun or srun)": ranks.size > 1,
        "one network at a time": len(members) == 1,
        "no sparsifier": training.sparsifier is None,
        "no traces": not training.traces,
        "all parameters to train": not training.train_only,
        "no measures on the way": not training.measures,
        "a fresh optimizer": all(member.moments is None for member in members),
        f"a batch that {ranks.size} processes share evenly, which {training.batch_size} is not": (
            training.batch_size % ranks.size == 0
        ),
    }
    if missing := [words for words, is_there in wanted.items() if not is_there]:
        raise ValueError(f"--shard needs {missing[0]}: train without it")
    for block in _blocks(module):
        if tied := _tied_elsewhere(block, module):
            raise ValueError(f"--shard cannot share out weights that are tied across blocks ({tied}): train without it")


class Sharding:
    """How parameters are shared out: dimension 0 over all ranks."""

    def __init__(self, device: torch.device, ranks: Ranks) -> None:
        # GPT-2's logits are a view, and no loss writes to its outputs in place.
        warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor")
        self._mesh = init_device_mesh(device.type, (ranks.size,))

    def apply(self, module: nn.Module) -> None:
        """Share out the parameters of a module, block by block, then the rest; gradients add up over ranks."""
        for each in [*_blocks(module), module]:
            # Gathered anew for each pass, the root too: best weights are loaded between two evaluations.
            fully_shard(each, mesh=self._mesh, reshard_after_forward=True)
        for part in module.modules():
            if isinstance(part, FSDPModule):
                part.set_gradient_divide_factor(1.0)
                part.set_force_sum_reduction_for_comms(True)

    def part(self, values: Tensor, like: Tensor) -> Tensor:
        """Return this rank's part of whole values, where the tensor that they are like is shared out."""
        if not isinstance(like, DTensor) or isinstance(values, DTensor):
            return values
        parts = distribute_tensor(values, self._mesh, like.placements, src_data_rank=None)
        return parts.clone()  # which keeps the whole from staying alive

    def whole(self, values: Tensor) -> Tensor:
        """Return values that are shared out in one piece, on the CPU; all ranks must call."""
        return values.full_tensor().cpu() if isinstance(values, DTensor) else values

    def has_nonzero(self, values: Tensor) -> bool:
        """Return whether this rank's part has an entry that is not zero."""
        return bool((values.to_local() if isinstance(values, DTensor) else values).count_nonzero())


def _blocks(module: nn.Module) -> list[nn.Module]:
    """Return what stands in lists of modules, inner ones first; parts without parameters need no sharing."""
    lists = [each for each in reversed(list(module.modules())) if isinstance(each, nn.ModuleList)]
    parts = [part for each in lists for part in each if not isinstance(part, nn.ModuleList | nn.ModuleDict)]
    return [part for part in parts if any(True for _ in part.parameters())]


def _tied_elsewhere(block: nn.Module, module: nn.Module) -> str | None:
    """Return the name of a parameter of a block that the network uses outside of it too; None without one."""
    everywhere = Counter(id(value) for _, value in module.named_parameters(remove_duplicate=False))
    inside = Counter(id(value) for _, value in block.named_parameters(remove_duplicate=False))
    return next((name for name, value in block.named_parameters() if everywhere[id(value)] > inside[id(value)]), None)
