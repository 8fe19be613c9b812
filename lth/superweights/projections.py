"""The down-projections of a transformer's MLPs, whatever the architecture: found, observed, edited for a while."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lth.config.choices import Table
from lth.superweights.experts import expert_rows
from lth.superweights.offloaded import held_in_memory, offloaded_parameter

See = Callable[["DownProjection", Tensor, Tensor, Tensor], None]
"""Called with a projection, flat token positions (row,), inputs (row, input) and outputs (row, output)."""


@dataclass(frozen=True, slots=True, eq=False)
class DownProjection:
    """The matrix of one MLP that writes into the residual stream.

    Attributes:
        block: of the transformer, from 0.
        expert: its number in a mixture of experts; None for an MLP that every token passes.
        name: of the parameter in the network.
        module: that holds the parameter.
        is_transposed: whether the parameter is stored [input, output].
        block_name: of the module that is the block, whose output is the residual stream.
    """

    block: int
    expert: int | None
    name: str
    module: nn.Module
    is_transposed: bool
    block_name: str

    @property
    def weight(self) -> Tensor:
        """The matrix (output, input), a view into the parameter; read from where accelerate keeps it if need be."""
        return self._matrix(offloaded_parameter(self.module, self._attribute))

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of output and input channels; needs no values."""
        size, other = getattr(self.module, self._attribute).shape[-2:]
        return (other, size) if self.is_transposed else (size, other)

    @property
    def place(self) -> str:
        """Block and expert, for messages."""
        return f"block {self.block}" + ("" if self.expert is None else f", expert {self.expert}")

    @property
    def _attribute(self) -> str:
        return self.name.rpartition(".")[2]

    def _matrix(self, parameter: Tensor) -> Tensor:
        matrix = parameter.detach() if self.expert is None else parameter.detach()[self.expert]
        return matrix.T if self.is_transposed else matrix


FAMILIES: Table[str] = Table(
    "family of architectures",
    {
        "gpt2": r"h\.(\d+)\.mlp\.c_proj",
        "starcoder2": r"layers\.(\d+)\.mlp\.c_proj",
        "llama": r"layers\.(\d+)\.(?:mlp|feed_forward|mixer)\.(?:shared_experts?\.)?down_proj",
        "granite": r"layers\.(\d+)\.shared_mlp\.output_linear",
        "w2": r"layers\.(\d+)\.(?:mlp|feed_forward)\.w2",
        "mpt": r"blocks\.(\d+)\.ffn\.down_proj",
        "gpt-neox": r"(?:layers|h)\.(\d+)\.mlp\.dense_4h_to_h",
        "gpt-j": r"h\.(\d+)\.mlp\.fc_out",
        "phi": r"layers\.(\d+)\.mlp\.fc2",
        "opt": r"layers\.(\d+)\.fc2",
        "bert": r"layer\.(\d+)\.output\.dense",
        "distilbert": r"layer\.(\d+)\.ffn\.lin2",
        "modernbert": r"layers\.(\d+)\.mlp\.Wo",
        "experts": r"layers\.(\d+)\.\w+\.experts",
    },
)
"""How the names of the modules end that hold down-projections, by family; the group is the number of the block.

A module is a Linear, a Conv1D of `transformers`, or holds the matrices of all experts of its block in `down_proj`
(expert, output, input).
"""


def down_projections(module: nn.Module) -> list[DownProjection]:
    """Return the down-projections of a network's MLPs in order of blocks, MLPs for all tokens before experts.

    Raises:
        ValueError: if none of FAMILIES is in it, or two stacks of blocks, or its weights are quantised.
    """
    architecture = type(module).__name__
    patterns = {family: re.compile(rf"(?:.*\.)?{pattern}") for family, pattern in FAMILIES.items()}
    found: dict[tuple[int, int], DownProjection] = {}
    for name, part in module.named_modules():
        if re.search(r"\.experts\.\d+\.", name):
            raise ValueError(
                f"{architecture} keeps its experts in a list ({name}): known are those of `transformers` 5 or newer, "
                "which hold the matrices of all experts of a block in one parameter"
            )
        matches = [match for pattern in patterns.values() if (match := pattern.fullmatch(name))]
        for projection in _projections(matches[0], part) if matches else ():
            place = projection.block, -1 if projection.expert is None else projection.expert
            if place in found:
                raise ValueError(
                    f"{architecture} has two down-projections at {projection.place}: {found[place].name} and "
                    f"{projection.name}. Give one stack of blocks alone, such as its encoder or its language model"
                )
            found[place] = projection
    if not found:
        raise ValueError(
            f"{architecture} has no MLP whose down-projection is known. Families: {', '.join(FAMILIES)}. How they name "
            "it stands in lth.superweights.projections.FAMILIES: add yours"
        )
    return [found[place] for place in sorted(found)]


def _projections(match: re.Match[str], module: nn.Module) -> Iterator[DownProjection]:
    """Yield those that a module holds, by how its name matches."""
    name, block, block_name = match[0], int(match[1]), match.string[: match.end(1)]
    fused = getattr(module, "down_proj", None)
    if isinstance(fused, nn.Parameter) and fused.ndim == 3:
        if not hasattr(module, "is_transposed"):
            raise ValueError(
                f"{name} is of class {type(module).__name__}, which is no class of experts of `transformers` 5 or newer"
            )
        for expert in range(len(fused)):
            yield DownProjection(block, expert, f"{name}.down_proj", module, bool(module.is_transposed), block_name)
        return
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        return
    is_conv1d = type(module).__name__ == "Conv1D"
    if not (isinstance(module, nn.Linear) or is_conv1d) or not weight.is_floating_point():
        raise ValueError(
            f"{name} is of class {type(module).__name__} with weights of {weight.dtype}: a Linear or a Conv1D with "
            "floating-point weights is needed. Load the network without quantisation, and merge its adapters"
        )
    yield DownProjection(block, None, f"{name}.weight", module, is_conv1d, block_name)


@contextmanager
def edited(projection: DownProjection) -> Iterator[Tensor]:
    """Give a projection's matrix (output, input) to change in place; its old bits return at the end.

    Where accelerate keeps weights in memory or on disk between uses, the change holds for each use.
    """
    with torch.no_grad(), held_in_memory(projection.module, projection._attribute) as parameter:
        weight = projection._matrix(parameter)
        before = weight.clone()
        try:
            yield weight
        finally:
            weight.copy_(before)


@contextmanager
def observed(projections: Sequence[DownProjection], see: See) -> Iterator[None]:
    """Call `see` with what goes in and out of projections in each forward pass, in float32.

    Tokens are counted over the whole batch, padding too. An expert is shown the tokens that its router sends to it,
    with its own outputs, before they are weighted; one without tokens is not called. What `see` keeps it must copy:
    some networks go on to change outputs in place.
    """
    by_module: dict[nn.Module, list[DownProjection]] = {}
    for projection in projections:
        by_module.setdefault(projection.module, []).append(projection)
    with ExitStack() as hooks:
        for module, group in by_module.items():
            hook = partial(_see_linear if group[0].expert is None else _see_experts, group, see)
            hooks.callback(module.register_forward_hook(hook, with_kwargs=True).remove)
        yield


@torch.no_grad()
def _see_linear(
    group: list[DownProjection],
    see: See,
    _: nn.Module,
    args: tuple[Tensor, ...],
    kwargs: dict[str, Tensor],
    out: Tensor,
) -> None:
    (inputs,) = (*args, *kwargs.values())
    rows, outputs = (values.detach().reshape(-1, values.shape[-1]).float() for values in (inputs, out))
    see(group[0], torch.arange(len(rows), device=rows.device), rows, outputs)


@torch.no_grad()
def _see_experts(
    group: list[DownProjection],
    see: See,
    module: nn.Module,
    args: tuple[Tensor, ...],
    kwargs: dict[str, Tensor],
    out: Tensor,
) -> None:
    by_expert = {projection.expert: projection for projection in group}
    for expert, tokens, inputs, outputs in expert_rows(module, args, kwargs, out):
        if expert in by_expert:
            see(by_expert[expert], tokens, inputs.float(), outputs.float())
