"""Several networks of one kind in one program: all in one call under `vmap`, or one call after the other.

Parameters, optimizer and evaluation are the same for both: only the forward pass differs, and so rounding and, where a
network draws random numbers, the draws.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from lth.sparsity.types import Weights

Stacking = Literal["vmap", "loop"]
STACKINGS: tuple[Stacking, ...] = ("vmap", "loop")

Forward = Callable[[Weights, Weights, Tensor], Tensor]
"""(parameters, buffers, inputs) -> (member, batch, class); parameters and buffers have a leading member axis."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def has_convolutions(module: nn.Module) -> bool:
    """Whether a convolution is among its modules (one that it calls as a function is not seen)."""
    return any(isinstance(part, CONVOLUTIONS) for part in module.modules())


def usual_stacking(module: nn.Module) -> Stacking:
    """What is faster on a CPU: the loop for networks with convolutions, `vmap` for others.

    `vmap` makes one grouped convolution of several. On a CPU that takes 1.4 to 1.5 times as long as one after the other
    (two and eight members of `convnet`, batch 60); with matrix products alone the two are within a fifth. On a GPU it
    is measured (`lth.training.engines.graphs.faster_stacking`).
    """
    return "loop" if has_convolutions(module) else "vmap"


def stacked_forward(
    module: nn.Module,
    aliases: Mapping[str, str],
    stacking: Stacking,
    *,
    own_inputs: bool,
    lay_out: Callable[[Tensor], Tensor],
) -> Forward:
    """The forward pass of all members.

    Args:
        module: a network of their kind; its values do not matter.
        aliases: for every name of a parameter the one that it is kept under: a tied weight has several names.
        stacking: `vmap` or `loop`.
        own_inputs: whether each member has inputs of its own, (member, batch, ...), or all see the same, (batch, ...).
        lay_out: done to one member's inputs in the loop (`vmap` has those of all in one tensor).
    """
    tied = {name: owner for name, owner in aliases.items() if name != owner}

    def call(parameters: Weights, buffers: Weights, inputs: Tensor) -> Tensor:
        values = parameters | buffers
        values |= {name: values[owner] for name, owner in tied.items()}  # tied weights need both names
        return torch.func.functional_call(module, values, (inputs,))  # type: ignore[no-any-return]

    if stacking == "vmap":
        return torch.vmap(call, in_dims=(0, 0, 0 if own_inputs else None), randomness="different")

    def one_after_the_other(parameters: Weights, buffers: Weights, inputs: Tensor) -> Tensor:
        # Unbound at once: the gradient of each slice alone would be as large as the whole stack.
        parts = {name: value.unbind() for name, value in parameters.items()}
        size = len(next(iter(parts.values())))
        shared = None if own_inputs else lay_out(inputs)
        return torch.stack(
            [
                call(
                    {name: each[index] for name, each in parts.items()},
                    {name: value[index] for name, value in buffers.items()},  # views: statistics update in place
                    lay_out(inputs[index]) if shared is None else shared,
                )
                for index in range(size)
            ]
        )

    return one_after_the_other
