"""What goes through each expert of a mixture, where one module holds the matrices of all."""

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lth.superweights.offloaded import offloaded_parameter

TOLERANCE = 0.05
"""Relative difference from the module's own outputs: its arithmetic may be of 8 bits of mantissa."""


def expert_rows(
    module: nn.Module, args: Sequence[Tensor], kwargs: Mapping[str, Tensor], out: Tensor
) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """Yield expert, tokens (row,), inputs (row, input) and outputs (row, output) of each down-projection that was used.

    `transformers` may compute all experts in one kernel, which shows none of them, so that the routed rows are computed
    again from what the module was called with, by the attributes that tell those kernels how, and the sum is compared
    with the module's own.

    Args:
        module: experts of `transformers`.
        args: what it was called with: hidden states (token, hidden), experts (token, choice), weights (token, choice).
        kwargs: the same by keyword, behind.
        out: what it returned (token, hidden).
    Raises:
        ValueError: if that does not add up to what the module returned.
    """
    hidden, chosen, shares = (*args, *kwargs.values())
    hidden = hidden.reshape(-1, hidden.shape[-1])
    total = torch.zeros_like(hidden, dtype=torch.float32)
    for expert in sorted(set(chosen.flatten().tolist())):
        if expert >= module.num_experts:  # another process has it
            continue
        tokens, choices = torch.where(chosen == expert)
        inputs = _activated(module, expert, hidden[tokens])
        outputs = _linear(module, "down_proj", expert, inputs)
        yield expert, tokens, inputs, outputs
        if module.has_post_expert_norm:
            outputs = module.post_expert_norm(outputs)  # type: ignore[operator]
        total.index_add_(0, tokens, (outputs * shares[tokens, choices, None]).float())
    difference = (total - out.reshape(hidden.shape).float()).norm()
    if difference > TOLERANCE * total.norm() + torch.finfo(torch.float32).tiny:
        raise ValueError(
            f"the experts of class {type(module).__name__} compute in a way that is not known: the sum over experts "
            f"differs from what the module returns by {difference / total.norm():.2g} of its norm"
        )


def _activated(module: nn.Module, expert: int, hidden: Tensor) -> Tensor:
    """What one expert's down-projection is given (row, input)."""
    if module.has_gate:
        return module._apply_gate(_linear(module, "gate_up_proj", expert, hidden))  # type: ignore[no-any-return, operator]
    return module.act_fn(_linear(module, "up_proj", expert, hidden))  # type: ignore[no-any-return, operator]


def _linear(module: nn.Module, name: str, expert: int, rows: Tensor) -> Tensor:
    weight = offloaded_parameter(module, name)[expert].to(rows.device)
    bias = offloaded_parameter(module, f"{name}_bias")[expert].to(rows.device) if module.has_bias else None
    return F.linear(rows, weight.T if module.is_transposed else weight, bias)
