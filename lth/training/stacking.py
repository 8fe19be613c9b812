"""Several networks of one kind in one program: all in one call under `vmap`, or one call after the other.

Parameters, optimizer and evaluation are the same for both: only the passes differ, and so rounding and, where a network
draws random numbers, the draws.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lth.sparsity.types import Weights
from lth.tasks import Batch, Task

Stacking = Literal["vmap", "loop"]
STACKINGS: tuple[Stacking, ...] = ("vmap", "loop")

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def usual_stacking(module: nn.Module) -> Stacking:
    """Return what is faster on a CPU: the loop for networks with convolutions, `vmap` for others.

    `vmap` makes one grouped convolution of several. On a CPU that takes 1.4 to 1.5 times as long as one after the other
    (two and eight members of `convnet`, batch 60); with matrix products alone the two are within a fifth. Recurrent
    layers have no rule under `vmap`.
    """
    unfit = (*CONVOLUTIONS, nn.RNNBase)
    return "loop" if any(isinstance(part, unfit) for part in module.modules()) else "vmap"


def call_with(
    module: nn.Module, aliases: Mapping[str, str], parameters: Weights, buffers: Weights
) -> Callable[..., Any]:
    """Return the module as a function, with these values in place of its own.

    Args:
        module: a network; its values do not matter.
        aliases: for every name of a parameter the one that it is kept under: a tied weight has several names.
        parameters: by the names that they are kept under.
        buffers: by name.
    """
    values = parameters | buffers
    values |= {name: values[owner] for name, owner in aliases.items() if name != owner and owner in values}

    def call(*inputs: Any, **keywords: Any) -> Any:
        return torch.func.functional_call(module, values, inputs, keywords)

    return call


def stacked_losses(
    module: nn.Module,
    task: Task,
    aliases: Mapping[str, str],
    stacking: Stacking,
    parameters: Weights,
    buffers: Weights,
    batch: Batch,
) -> Tensor:
    """Return the mean loss of each member on its own batch, (member,).

    Args:
        module: a network of their kind; its values do not matter.
        task: what is minimised.
        aliases: as in `call_with`.
        stacking: `vmap` or `loop`.
        parameters: with a leading member axis; so are `buffers` and the tensors of `batch`.
    """

    def loss(parameters: Weights, buffers: Weights, batch: Batch) -> Tensor:
        return task.loss(task.forward(call_with(module, aliases, parameters, buffers), batch), batch)

    if stacking == "vmap":
        with _attention_with_a_rule(next(iter(batch.values())).device):
            return torch.vmap(loss, randomness="different")(parameters, buffers, _with_pairs(module, batch))
    # Unbound at once: the gradient of each slice alone would be as large as the whole stack.
    parts = {name: value.unbind() for name, value in parameters.items()}
    size = len(next(iter(batch.values())))
    return torch.stack(
        [
            loss(
                {name: each[index] for name, each in parts.items()},
                {name: value[index] for name, value in buffers.items()},  # views: statistics update in place
                {name: value[index] for name, value in batch.items()},
            )
            for index in range(size)
        ]
    )


def _with_pairs(module: nn.Module, batch: Batch) -> Batch:
    """Return a batch whose mask says of each pair of tokens whether one sees the other, for encoders of `transformers`.

    Those look whether a mask of tokens masks any, which `vmap` does not allow; a mask of pairs they take as it stands,
    (member, example, 1, position, position). Where attention is not PyTorch's, or causal, it would mean something else.
    """
    if "attention_mask" not in batch:
        return batch
    attention = getattr(getattr(module, "config", None), "_attn_implementation", None)
    if attention != "sdpa" or any(getattr(part, "is_causal", False) for part in module.modules()):
        return batch
    mask = batch["attention_mask"].bool()
    pairs = mask[..., None, None, :].expand(*mask.shape[:-1], 1, mask.shape[-1], mask.shape[-1])
    return batch | {"attention_mask": pairs}


def _attention_with_a_rule(device: torch.device) -> AbstractContextManager[None]:
    """Let attention be computed by plain products on a CPU, whose fused kernel has no rule under `vmap`."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()
