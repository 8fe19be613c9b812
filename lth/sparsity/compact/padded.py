"""A compact network's values in a class with one width for all its blocks, as encoders of `transformers` have.

Their config has one number of neurons for all blocks, and one number of heads, whose size follows from it and the width
of the network. So the neurons go down to the most that any block keeps, and zeros stand for what else was cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lth.sparsity.compact.cut import Cut
from lth.sparsity.compact.heads import head_counts
from lth.sparsity.granularities.axes import axes_of
from lth.sparsity.granularities.coupled import Coupled, attention_heads, mlp_neurons


@dataclass(frozen=True, slots=True)
class Padding:
    """What is zero in a padded network.

    Attributes:
        width: neurons of every block, before and now; None if blocks had several widths, and none is narrower.
        neurons: number of zero neurons, by path of the MLP.
        heads: number of zero heads and of all heads, by path of the attention.
        others: number of zero entries along an axis of other tensors, as of `pooler.dense.weight[0]`.
    """

    width: tuple[int, int] | None
    neurons: Mapping[str, int]
    heads: Mapping[str, tuple[int, int]]
    others: Mapping[str, int]


def padded_state(original: nn.Module, small: nn.Module, cut: Cut) -> tuple[dict[str, Tensor], Padding]:
    """Return the full state of a compact network with one width for all blocks, and what is zero in it.

    Args:
        original: the network that was made smaller.
        small: what became of it.
        cut: how.
    Raises:
        ValueError: if a bias was made that the original's class does not have.
    """
    if cut.biases:
        raise ValueError(f"{cut.biases[0]!r} took constants into a bias, and its class has none there")
    state = _filled(original, small, cut)
    attention = attention_heads(original)
    blocks = mlp_neurons(original, attention)
    kept = {path: _kept(block, cut) for path, block in blocks.items()}
    widths = {block.num_units for block in blocks.values()}
    width = (min(widths), max(map(len, kept.values()))) if len(widths) == 1 else None
    if width is not None:
        for path, block in blocks.items():
            gone = [unit for unit in range(width[0]) if unit not in set(kept[path])]
            stays = torch.tensor(sorted(kept[path] + gone[: width[1] - len(kept[path])]))
            for name, axis in _sides(original, block):
                state[name] = state[name].index_select(axis, stays.to(state[name].device))
    neurons = {
        path: (width[1] if width else block.num_units) - len(kept[path])
        for path, block in blocks.items()
        if len(kept[path]) < (width[1] if width else block.num_units)
    }
    known = {side for each in (*attention.values(), *blocks.values()) for side in _sides(original, each)}
    return state, Padding(width, neurons, _zero_heads(original, cut), _others(original, cut, known))


def _filled(original: nn.Module, small: nn.Module, cut: Cut) -> dict[str, Tensor]:
    """Return the small network's state in the original's shapes, zero where something was cut."""
    kept = _under_all_names(original, cut)
    state, whole = small.state_dict(), original.state_dict()
    for path, columns in cut.selected.items():
        weight = state[f"{path}.weight"]
        size = len(kept.get(f"{path}.weight", {}).get(1, range(whole[f"{path}.weight"].shape[1])))
        state[f"{path}.weight"] = _spread(weight, 1, columns, size)
    filled = {name: state[name] for name in whole}
    for name, axes in kept.items():
        for axis, stays in axes.items():
            filled[name] = _spread(filled[name], axis, stays, whole[name].shape[axis])
    return filled


def _spread(value: Tensor, axis: int, places: Sequence[int], size: int) -> Tensor:
    shape = [size if each == axis else old for each, old in enumerate(value.shape)]
    return value.new_zeros(shape).index_copy_(axis, torch.tensor(places, device=value.device), value)


def _under_all_names(module: nn.Module, cut: Cut) -> dict[str, dict[int, list[int]]]:
    """Return what the cut keeps, by every name that a tied tensor has."""
    tensors = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    by_tensor = {id(value): cut.kept[name] for name, value in tensors if name in cut.kept}
    return {name: by_tensor[id(value)] for name, value in tensors if id(value) in by_tensor}


def _kept(block: Coupled, cut: Cut) -> list[int]:
    side = block.sides[0]
    return cut.kept.get(side.name, {}).get(side.axis, list(range(block.num_units)))


def _sides(module: nn.Module, coupled: Coupled) -> list[tuple[str, int]]:
    """Return names and axes of the tensors that fall into these units, biases included."""
    sides = [(side.name, side.axis) for side in coupled.sides]
    for name, axis in list(sides):
        path = name.rpartition(".")[0]
        axes = axes_of(module.get_submodule(path))
        if axes is not None and axes.output == axis and f"{path}.bias" in dict(module.named_parameters()):
            sides.append((f"{path}.bias", 0))
    return sides


def _zero_heads(module: nn.Module, cut: Cut) -> dict[str, tuple[int, int]]:
    heads = {}
    for path, left in cut.attributes.items():
        before = max(head_counts(module.get_submodule(path)).values())
        heads[path] = (before - max(left.values()), before)
    return heads


def _others(module: nn.Module, cut: Cut, known: set[tuple[str, int]]) -> dict[str, int]:
    sizes = {name: value.shape for name, value in (*module.named_parameters(), *module.named_buffers())}
    return {
        f"{name}[{axis}]": sizes[name][axis] - len(stays)
        for name, axes in cut.kept.items()
        for axis, stays in axes.items()
        if (name, axis) not in known
    }
