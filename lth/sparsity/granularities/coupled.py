"""Which parts of a transformer's tensors belong together: attention heads, and the neurons of its MLPs.

Layers are found by the names that common libraries give them, checked by their shapes. What is not recognised is not
listed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from lth.sparsity.granularities.axes import Axes, axes_of, is_linear


@dataclass(frozen=True, slots=True)
class Side:
    """One axis of a tensor that falls evenly into units.

    Attributes:
        name: the parameter.
        axis: the axis that is cut.
        repeats: how often the units follow one another along it: 3 where query, key and value are packed.
    """

    name: str
    axis: int
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Coupled:
    """Sides that share their units: unit i of one is useless without unit i of the others."""

    num_units: int
    sides: tuple[Side, ...]


Part = tuple[Tensor, int, int]
"""(weight, axis, repeats): a side before its parameter has a name."""

NUM_HEADS = ("num_heads", "n_head", "n_heads", "num_attention_heads")
PROJECTIONS = (
    ("q_proj", "k_proj", "v_proj"),  # Llama, OPT, CLIP, ViT
    ("query", "key", "value"),  # BERT
    ("q_lin", "k_lin", "v_lin"),  # DistilBERT
    ("c_q", "c_k", "c_v"),  # nanochat
    ("q", "k", "v"),  # T5
)
PROJECTED = ("o_proj", "out_proj", "out_lin", "c_proj", "o", "output.dense")
MLPS = (
    (("gate_proj", "up_proj"), "down_proj"),  # Llama
    (("w1", "w3"), "w2"),  # Mixtral
    (("wi_0", "wi_1"), "wo"),  # T5 version 1.1
    (("wi",), "wo"),  # T5
    (("c_fc",), "c_proj"),  # GPT-2
    (("fc1",), "fc2"),  # OPT, CLIP, ViT
    (("fc_in",), "fc_out"),  # GPT-J
    (("lin1",), "lin2"),  # DistilBERT
    (("linear1",), "linear2"),  # nn.TransformerEncoderLayer
    (("intermediate.dense",), "output.dense"),  # BERT
)


def attention_heads(module: nn.Module) -> dict[str, Coupled]:
    """Return the heads of each attention layer, by the path of the layer.

    A head is its rows of the query, key and value projections and its columns of the output projection. Where several
    query heads share one key and value head (grouped-query attention), a unit is that whole group.
    """
    heads_of: dict[str, tuple[int, list[Part]]] = {}
    for path, layer in module.named_modules():
        parent = module.get_submodule(path.rpartition(".")[0])
        heads = _multihead(layer) or _packed(layer) or _separate(layer, parent)
        if heads is not None:
            heads_of[path] = heads
    return _named(heads_of, module)


def mlp_neurons(module: nn.Module, attention: Mapping[str, Coupled]) -> dict[str, Coupled]:
    """Return the hidden neurons of the MLPs of transformer blocks, by the path of the layer that holds them.

    A neuron is its row of the first Linear (of both first ones, where one gates the other) and its column of the
    second. An MLP belongs to a block if the nearest layer around it that holds attention holds one or two of them.

    Args:
        module: the network.
        attention: what `attention_heads` found in it.
    """
    neurons_of: dict[str, tuple[int, list[Part]]] = {}
    for path, layer in module.named_modules():
        neurons = next(_pairs(layer), None) if _is_in_block(path, attention) else None
        if neurons is not None:
            neurons_of[path] = neurons
    return _named(neurons_of, module)


def _multihead(layer: nn.Module) -> tuple[int, list[Part]] | None:
    """Return the heads of PyTorch's own attention, packed or not."""
    if not isinstance(layer, nn.MultiheadAttention):
        return None
    if layer.in_proj_weight is not None:
        rows: list[Part] = [(layer.in_proj_weight, 0, 3)]
    else:
        rows = [(weight, 0, 1) for weight in (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)]
    return layer.num_heads, [*rows, (layer.out_proj.weight, 1, 1)]


def _packed(layer: nn.Module) -> tuple[int, list[Part]] | None:
    """Return heads where `c_attn` packs query, key and value (GPT-2), or key and value beside `q_attn` (when crossing).

    Names such as `qkv` and `query_key_value` are left out: libraries pack under them in different orders.
    """
    num_heads = _num_heads(layer)
    packed, query, projected = _linear(layer, "c_attn"), _linear(layer, "q_attn"), _linear(layer, "c_proj")
    if packed is None or projected is None or num_heads is None:
        return None
    rows = [(packed, 3)] if query is None else [(query, 1), (packed, 2)]
    width = _num_inputs(projected)
    if width % num_heads or any(_num_outputs(row) != repeats * width for row, repeats in rows):
        return None
    return num_heads, [*(_outputs(row, repeats) for row, repeats in rows), _inputs(projected)]


def _separate(layer: nn.Module, parent: nn.Module) -> tuple[int, list[Part]] | None:
    """Return heads where query, key and value have a layer each; BERT keeps the output projection beside them."""
    num_heads = _num_heads(layer)
    if num_heads is None:
        return None
    for names in PROJECTIONS:
        rows = [row for name in names if (row := _linear(layer, name)) is not None]
        outputs = [*(_linear(layer, name) for name in PROJECTED), _linear(parent, "output.dense")]
        projected = next((output for output in outputs if output is not None), None)
        if len(rows) < 3 or projected is None:
            continue
        query, key, value = (_num_outputs(row) for row in rows)
        num_units = num_heads * key // query  # the number of key heads: a head is as wide in both
        is_even = num_units > 0 and num_units * query == num_heads * key and num_heads % num_units == 0
        if is_even and query % num_heads == 0 and query == _num_inputs(projected) and key == value:
            return num_units, [*(_outputs(row) for row in rows), _inputs(projected)]
    return None


def _pairs(layer: nn.Module) -> Iterator[tuple[int, list[Part]]]:
    """Give MLPs that this layer holds: by name, or as a Sequential of Linear, activation, Linear."""
    for names, last in MLPS:
        firsts = [first for name in names if (first := _linear(layer, name)) is not None]
        second = _linear(layer, last)
        if len(firsts) == len(names) and second is not None:
            yield from _fitting(firsts, second)
    if isinstance(layer, nn.Sequential):
        linears = [child for child in layer if is_linear(child)]
        others = [child for child in layer if not is_linear(child)]
        if len(linears) == 2 and not any(True for other in others for _ in other.parameters()):
            yield from _fitting(linears[:1], linears[1])


def _fitting(firsts: list[nn.Module], second: nn.Module) -> Iterator[tuple[int, list[Part]]]:
    width = _num_inputs(second)
    if all(_num_outputs(first) == width for first in firsts):
        yield width, [*(_outputs(first) for first in firsts), _inputs(second)]


def _is_in_block(path: str, attention: Mapping[str, Coupled]) -> bool:
    while True:
        held = [other for other in attention if not path or other == path or other.startswith(f"{path}.")]
        if held or not path:
            return 1 <= len(held) <= 2  # two: a decoder block attends to itself and to the encoder
        path = path.rpartition(".")[0]


def _named(by_path: Mapping[str, tuple[int, list[Part]]], module: nn.Module) -> dict[str, Coupled]:
    """Return the same by parameter name, without layers that share weights with an earlier one."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    coupled: dict[str, Coupled] = {}
    used: set[str] = set()
    for path, (num_units, parts) in by_path.items():
        if any(id(weight) not in names for weight, _, _ in parts):
            continue  # computed from other parameters, as under a parametrization
        sides = tuple(Side(names[id(weight)], axis, repeats) for weight, axis, repeats in parts)
        if used.isdisjoint(side.name for side in sides):
            coupled[path] = Coupled(num_units, sides)
            used.update(side.name for side in sides)
    return coupled


def _num_heads(layer: nn.Module) -> int | None:
    for owner in (layer, getattr(layer, "config", None)):
        for attribute in NUM_HEADS:
            value = getattr(owner, attribute, None)
            if isinstance(value, int):
                return value
    return None


def _linear(layer: nn.Module, path: str) -> nn.Module | None:
    try:
        linear = layer.get_submodule(path)
    except AttributeError:
        return None
    return linear if is_linear(linear) else None


def _outputs(layer: nn.Module, repeats: int = 1) -> Part:
    weight, axes = _matrix(layer)
    return weight, axes.output, repeats


def _inputs(layer: nn.Module) -> Part:
    weight, axes = _matrix(layer)
    return weight, axes.input, 1


def _matrix(layer: nn.Module) -> tuple[Tensor, Axes]:
    weight, axes = layer.weight, axes_of(layer)
    assert isinstance(weight, Tensor)
    assert axes is not None
    return weight, axes


def _num_outputs(layer: nn.Module) -> int:
    weight, axis, _ = _outputs(layer)
    return weight.shape[axis]


def _num_inputs(layer: nn.Module) -> int:
    weight, axis, _ = _inputs(layer)
    return weight.shape[axis]
