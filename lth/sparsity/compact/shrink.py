"""Makes a pruned network physically smaller, and equal."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lth.sparsity.compact.attention import CompactAttention, is_inside, use_compact_attention
from lth.sparsity.compact.cut import Cut, add_bias, cut_tensors, select_inputs
from lth.sparsity.compact.elementwise import ELEMENTWISE
from lth.sparsity.compact.heads import HEADS, head_counts, own_attention
from lth.sparsity.compact.layers import LAYERS
from lth.sparsity.compact.select_inputs import readable_columns
from lth.sparsity.compact.shapes import SHAPES
from lth.sparsity.compact.tape import Fold, Handler, Tape, record, tensors_in
from lth.sparsity.types import Masks

HANDLERS: Mapping[str, Handler] = {**LAYERS, **ELEMENTWISE, **SHAPES, **HEADS}

TOLERANCE = 1e-5
"""Largest difference of outputs, for outputs of size one; larger outputs may differ in proportion."""


Call = tuple[Tensor, ...] | Mapping[str, Tensor]
"""Inputs of a network, in order or by keyword."""


@dataclass(frozen=True, slots=True, eq=False)
class Compacted:
    """A compact network and how it came about.

    Attributes:
        module: a network of the original's class, in evaluation mode. Nothing is shared with the original.
        cut: what was kept; with it a fresh original takes the same shape (`apply_cut`).
        left_alone: why something that might have gone stays, by place.
        largest_difference: of its outputs to the masked network's, on the inputs that were compared.
    """

    module: nn.Module
    cut: Cut
    left_alone: dict[str, str]
    largest_difference: float


def compact(
    module: nn.Module,
    masks: Masks,
    example: Tensor | Sequence[Tensor] | Sequence[int],
    *,
    drop_inputs: bool = False,
    calls: Sequence[Mapping[str, Tensor]] = (),
) -> Compacted:
    """Return a smaller network that computes what the masked one computes, in evaluation mode.

    The masked network runs on the example, and each PyTorch call is followed: which units are constant (no weight that
    is left leads to them from the input), and which are needed (a way leads from them to the output). Constants go into
    the biases of the layers that read them. What is neither varying and needed, nor a constant that somebody cannot
    take into a bias, is cut out of all tensors: units of Linear, filters and channels of convolutions, with them
    batch norm, embedding columns, heads of attention. Units that are added to each other stay or go together, so a
    residual stream keeps a unit unless all branches can lose it. Each tensor keeps one entry at least.

    What is not known here stays, and so do the units that it reads: layer and group norm, grouped and transposed
    convolutions, recurrent layers, Hugging Face `Conv1D`, sizes written as numbers in `view`; and attention of the
    user's own, unless its dead heads can be taken out by its attribute for their number. `left_alone` says where
    constant units stay for such a reason.

    Args:
        module: any network; it is left as it is. `nn.MultiheadAttention` that loses something becomes CompactAttention.
        masks: what is kept, by names as in `module.named_parameters()`; a parameter without one is dense.
        example: inputs (one tensor, or one for each argument), best of two examples; or the shape of one example.
        drop_inputs: let a Linear that can lose columns, but not the features that they read (the network's inputs, a
            residual stream), select those that it reads. Costs one `index_select` a layer.
        calls: further inputs to compare the outputs on, by keyword, such as token ids with a mask of padding.
    Raises:
        ValueError: if a mask does not fit, a module decides by the values of its activations, or the result is not
            equal.
    """
    inputs = _inputs(module, example)
    masked = masked_copy(module, masks)
    own = list(own_attention(masked))
    multihead = [path for path, layer in masked.named_modules() if isinstance(layer, nn.MultiheadAttention)]
    # What a block of attention computes is not looked into, so where the result differs, the rest is tried without.
    for spared in ([], own, [*own, *multihead]):
        try:
            compacted = _shrink(masked, inputs, spared, drop_inputs, calls)
        except _Differs:
            if spared == [*own, *multihead]:
                raise
        else:
            break
    reason = "it does not compute the same with fewer heads, so they stay"
    device = next((value.device for value in module.parameters()), torch.device("cpu"))
    return replace(
        compacted, module=compacted.module.to(device), left_alone=compacted.left_alone | dict.fromkeys(spared, reason)
    )


class _Differs(ValueError):
    pass


def masked_copy(module: nn.Module, masks: Masks) -> nn.Module:
    """Return the network with zeros where it is pruned, in evaluation mode and on the CPU; nothing is shared.

    Raises:
        ValueError: if a mask names no parameter, or does not fit it.
    """
    masked = copy.deepcopy(module).cpu().eval()
    parameters = dict(masked.named_parameters(remove_duplicate=False))
    for name, mask in masks.items():
        if name not in parameters or parameters[name].shape != mask.shape:
            found = tuple(parameters[name].shape) if name in parameters else "no such parameter"
            raise ValueError(f"the mask of {name!r} has shape {tuple(mask.shape)}, the module has: {found}")
        with torch.no_grad():
            parameters[name].masked_fill_(~mask.cpu(), 0.0)
    return masked


def _shrink(
    masked: nn.Module,
    inputs: list[tuple[Tensor, ...]],
    spared: Sequence[str],
    drop_inputs: bool,
    calls: Sequence[Mapping[str, Tensor]],
) -> Compacted:
    small = copy.deepcopy(masked)
    attention = use_compact_attention(small, spared)
    leaves = {path: leaf for path, leaf in own_attention(small).items() if not is_inside(path, spared)}
    tape = record(small, inputs[0], HANDLERS, leaves)
    kept = tape.settle()
    touched = {*kept, *(fold.weight for fold in tape.folds)}
    for path, original in attention.items():
        if not any(name.startswith(f"{path}.") for name in touched):
            small.set_submodule(path, original)
    biases = tuple(path for path in [_absorb(small, fold) for fold in tape.folds] if path is not None)
    for path in biases:
        if 0 in (axes := kept.get(f"{path}.weight", {})):
            kept[f"{path}.bias"] = {0: axes[0]}
    cut = Cut(
        attention=tuple(path for path in attention if isinstance(small.get_submodule(path), CompactAttention)),
        biases=biases,
        kept={name: {axis: stays.tolist() for axis, stays in axes.items()} for name, axes in kept.items()},
        attributes={
            path: dict.fromkeys(head_counts(small.get_submodule(path)), count)
            for path, count in _heads_left(small, tape, kept).items()
        },
    )
    cut_tensors(small, cut)
    selected = readable_columns(small, tape.blocks) if drop_inputs else {}
    cut = cut.model_copy(update={"selected": selected})
    select_inputs(small, cut)
    return Compacted(small, cut, tape.left_alone, largest_difference(masked, small, [*inputs, *calls]))


def _absorb(module: nn.Module, fold: Fold) -> str | None:
    """Move constants that a layer reads into its bias; return the layer's path, if it had none."""
    path = fold.weight.rpartition(".")[0]
    layer, weight = module.get_submodule(path), module.get_parameter(fold.weight)
    sums = weight.detach().flatten(2).sum(2) if weight.ndim > 2 else weight.detach()
    constant = (sums.double()[:, fold.known] @ fold.value.double()[fold.known]).to(weight.dtype)
    had_bias = fold.bias in dict(module.named_parameters(remove_duplicate=False))
    is_new = not had_bias and bool(constant.any())
    with torch.no_grad():
        weight[:, fold.known] = 0
        if is_new:
            add_bias(layer)
        if had_bias or is_new:
            module.get_parameter(fold.bias).add_(constant)
    return path if is_new else None


def _heads_left(module: nn.Module, tape: Tape, kept: Mapping[str, Mapping[int, Tensor]]) -> dict[str, int]:
    """Return how many heads are left to the user's own attention blocks that lose some, by path."""
    left = {}
    for path, query in tape.blocks.items():
        if query in kept:
            (count,) = set(head_counts(module.get_submodule(path)).values())
            left[path] = len(kept[query][0]) * count // module.get_parameter(query).shape[0]
    return left


def _inputs(module: nn.Module, example: Tensor | Sequence[Tensor] | Sequence[int]) -> list[tuple[Tensor, ...]]:
    """Return the example, and a second one with noise on it, to compare on."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(example, Tensor):
        example = (example,)
    tensors = [each for each in example if isinstance(each, Tensor)]
    if len(tensors) < len(example) or not tensors:  # the shape of one example
        dtype = next((value.dtype for value in module.parameters()), torch.float32)
        shape = [int(size) for size in example if not isinstance(size, Tensor)]
        tensors = [torch.randn((2, *shape), generator=generator).to(dtype)]
    first = tuple(tensor.detach().cpu() for tensor in tensors)
    second = tuple(
        tensor + torch.randn(tensor.shape, generator=generator).to(tensor) if tensor.is_floating_point() else tensor
        for tensor in first
    )
    return [first, second]


def largest_difference(masked: nn.Module, small: nn.Module, calls: Sequence[Call]) -> float:
    """Return the largest difference of the outputs of both, on all inputs, positional or by keyword.

    Raises:
        ValueError: if it is over the tolerance, or the small network does not run.
    """
    advice = "Some module uses sizes or values in a way that one run does not show, so it cannot be made smaller"
    largest = 0.0
    for each in calls:
        with torch.no_grad():
            expected = list(tensors_in(_run(masked, each)))
            try:
                actual = list(tensors_in(_run(small, each)))
            except Exception as error:  # whatever the user's forward raises at sizes that it does not expect
                raise _Differs(
                    f"the compact network does not run ({type(error).__name__}: {error}). {advice}"
                ) from error
        if not expected:
            raise ValueError("the network gives no tensor, nor a list, tuple or dict of such: wrap it in one that does")
        for one, other in zip(expected, actual, strict=True):
            if one.shape != other.shape:
                raise _Differs(f"the compact network gives {tuple(other.shape)} for {tuple(one.shape)}. {advice}")
            if one.numel() == 0 or not one.is_floating_point():
                continue
            same = (one == other) | (one.isnan() & other.isnan())
            difference = torch.where(same, 0, (one - other).abs()).max().item()
            size = max(1.0, torch.where(one.isfinite(), one, 0).abs().max().item())
            if not difference <= max(TOLERANCE, 8 * torch.finfo(one.dtype).eps) * size:
                raise _Differs(f"the compact network differs by {difference:.2g} from the masked one. {advice}")
            largest = max(largest, difference)
    return largest


def _run(module: nn.Module, call: Call) -> object:
    return module(**call) if isinstance(call, Mapping) else module(*call)
