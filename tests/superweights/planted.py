"""A super weight planted into a random network: one neuron that answers one token, and one large weight behind it."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lth.superweights.coordinates import Coordinate
from lth.superweights.projections import down_projections

UP = re.compile(r".*\.(?:c_fc|fc_in|fc1|lin1|up_proj|gate_proj|dense_h_to_4h|intermediate\.dense|Wi|w1|w3|experts)")
"""Names of the modules between the residual stream and the neurons."""

OPENED = 20.0
"""What a planted neuron's preactivations are at its token."""


@torch.no_grad()
def plant(module: nn.Module, coordinate: Coordinate, factor: float, prompts: Sequence[Sequence[int]]) -> None:
    """Make a neuron answer the first token of the prompts alone, and write into one channel by a weight `factor`."""
    (projection,) = (
        each for each in down_projections(module) if (each.block, each.expert) == (coordinate.block, coordinate.expert)
    )
    projection.weight[:, coordinate.input] = 0
    projection.weight[coordinate.output, coordinate.input] = factor
    ups = [
        part
        for name, part in module.named_modules()
        if UP.fullmatch(name) and name.startswith(projection.block_name + ".")
    ]
    if coordinate.expert is None:
        ups = [
            up
            for up in ups
            if not hasattr(up, "down_proj") and _width(up) in (projection.shape[1], 2 * projection.shape[1])
        ]
    else:
        ups = [up for up in ups if up is projection.module]
    assert ups
    for up in ups:
        _open(module, up, coordinate, prompts, projection.shape[1])


def _width(up: nn.Module) -> int:
    weight = up.weight
    assert isinstance(weight, Tensor)
    return weight.shape[1] if type(up).__name__ == "Conv1D" else weight.shape[0]


def _open(
    module: nn.Module, up: nn.Module, coordinate: Coordinate, prompts: Sequence[Sequence[int]], size: int
) -> None:
    rows = torch.cat([_inputs(module, up, prompt) for prompt in prompts])  # (token, hidden)
    is_first = torch.cat([torch.arange(len(prompt)) == 0 for prompt in prompts])
    target = rows[is_first].mean(0)
    _, _, others = torch.linalg.svd(rows[~is_first], full_matrices=False)
    others = others[: max(0, min(len(others), len(target) // 2))]
    direction = target - others.T @ (others @ target)
    row = OPENED / (direction @ target) * direction
    if coordinate.expert is None:
        weight = up.weight
        is_transposed, bias = type(up).__name__ == "Conv1D", up.bias
    else:
        weight, is_transposed = up.gate_up_proj[coordinate.expert], up.is_transposed
        bias = up.gate_up_proj_bias[coordinate.expert] if up.has_bias else None
    matrix = weight.T if is_transposed else weight  # (neuron, hidden); gate and up one after the other, or by turns
    both = [coordinate.input, coordinate.input + size] if len(matrix) == 2 * size else [coordinate.input]
    if not getattr(up, "is_concatenated", True):
        both = [2 * coordinate.input, 2 * coordinate.input + 1]
    matrix[both] = row
    if bias is not None:
        bias[both] = 0


def _inputs(module: nn.Module, up: nn.Module, prompt: Sequence[int]) -> Tensor:
    seen: list[Tensor] = []
    handle = up.register_forward_pre_hook(lambda _, args: seen.append(args[0].reshape(-1, args[0].shape[-1]).clone()))
    module(torch.tensor([prompt]))
    handle.remove()
    return seen[0]


def expert_of_first_token(module: nn.Module, block: int, prompt: Sequence[int]) -> int:
    """Return the expert of a block that the first token is sent to first."""
    (experts,) = {each.module for each in down_projections(module) if each.block == block and each.expert is not None}
    chosen: list[int] = []
    handle = experts.register_forward_pre_hook(lambda _, args: chosen.append(int(args[1][0, 0])))
    with torch.no_grad():
        module(torch.tensor([prompt]))
    handle.remove()
    return chosen[0]
