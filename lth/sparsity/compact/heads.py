"""Attention heads: which are dead, in CompactAttention and in blocks of the user's own."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from lth.sparsity.compact.attention import CompactAttention
from lth.sparsity.compact.layers import note_fold, outcome
from lth.sparsity.compact.tape import Call, Handler, Leaf, Tape, tensors_in
from lth.sparsity.compact.units import Units
from lth.sparsity.granularities.coupled import NUM_HEADS, attention_heads


def attention(tape: Tape, call: Call) -> bool:
    """Follow `attend`: heads go with their rows and columns, inputs and outputs as in a Linear.

    A head is dead if each of its value rows is constant or read by no needed output: as attention weights sum to one,
    a constant value comes out as it went in, and goes into the output's bias.
    """
    given = call.bound("query", "key", "value", "layer", "attn_mask", "key_padding_mask", "need_weights")
    layer: CompactAttention = given["layer"]
    linears = (layer.query, layer.key, layer.value)
    sources = [tape.units(given[role]) for role in ("query", "key", "value")]
    is_followed = all(units is None or units.axis == 2 for units in sources)
    if not is_followed or not all(tape.is_single_use(parameter) for parameter in layer.parameters()):
        return False
    outputs, weights = call.output
    heads = _join_heads(tape, linears, layer.out, layer.num_heads)
    constants = [_constants(units, linear) for units, linear in zip(sources, linears, strict=True)]
    for units, linear in zip(sources, linears, strict=True):
        tape.feed(units, tape.axis(linear.weight, 1))
    tape.atoms.join(tape.axis(layer.out.weight, 0), tape.axis(layer.out.bias, 0))
    known, value = outcome(layer.value.weight, layer.value.bias, *constants[2])
    is_constant, constant = outcome(layer.out.weight, layer.out.bias, known, value)
    result = tape.follow(outputs, 2, tape.axis(layer.out.weight, 0), is_constant, constant)
    asked = None
    if weights is not None:
        atoms = tape.atoms.new(weights.shape[-1])
        asked = tape.follow(weights, weights.ndim - 1, atoms, torch.zeros(len(atoms)).bool(), torch.zeros(len(atoms)))
    mask = given["attn_mask"]

    def back() -> None:
        alive = _alive(layer.out.weight, result.needed, known, layer.num_heads)
        if (asked is not None and asked.needed.any()) or (mask is not None and mask.ndim == 3):
            alive[:] = True  # the heads' weights are read, or each head has a mask of its own
        tape.atoms.keep(heads[alive])
        rows = alive.repeat_interleave(layer.head_size)
        note_fold(tape, layer.out.weight, layer.out.bias, known, value)
        for units, linear, (known_in, value_in) in zip(sources, linears, constants, strict=True):
            if units is not None:
                units.need(((linear.weight != 0) & rows[:, None]).any(dim=0) & ~known_in)
                note_fold(tape, linear.weight, linear.bias, known_in, value_in)

    tape.then(back)
    return True


def own_attention(module: nn.Module) -> dict[str, Leaf]:
    """Return what to note of each attention block of the user's own, by its path.

    These are the blocks that `attention_heads` recognises, made of one Linear each for query, key, value and output,
    all with as many heads as an attribute says. The output may stand beside the block (BERT), which then gives it the
    heads side by side. What such a block computes is not looked into: whether it is still right without its dead heads
    is found by running it.
    """
    leaves: dict[str, Leaf] = {}
    for path, coupled in attention_heads(module).items():
        block = module.get_submodule(path)
        owners = [module.get_submodule(side.name.rpartition(".")[0]) for side in coupled.sides]
        linears = [owner for owner in owners if type(owner) is nn.Linear]
        is_plain = len(linears) == len(owners) == 4 and linears[0].weight.shape[0] == linears[1].weight.shape[0]
        if is_plain and head_counts(block) and set(head_counts(block).values()) == {coupled.num_units}:
            leaves[path] = partial(_note_own_heads, coupled.num_units, linears)
    return leaves


def head_counts(block: nn.Module) -> dict[str, int]:
    """Return the attributes of a block that say how many heads it has."""
    return {name: vars(block)[name] for name in NUM_HEADS if isinstance(vars(block).get(name), int)}


def _note_own_heads(
    num_heads: int, linears: Sequence[nn.Linear], tape: Tape, block: nn.Module, path: str, output: object
) -> None:
    query, key, value, out = linears
    inside = [linear for linear in linears if any(linear is layer for layer in block.modules())]
    if not all(tape.is_single_use(parameter) for linear in inside for parameter in linear.parameters()):
        return
    nothing = torch.zeros(value.in_features)
    known, constant = outcome(value.weight, value.bias, nothing.bool(), nothing.to(value.weight.dtype))
    if out not in inside:
        context = next(tensors_in(output), None)  # (..., heads * head_size)
        if context is None or context.shape[-1] != out.in_features:
            return
        heads = _join_heads(tape, (query, key, value), None, num_heads)
        tape.follow(context, context.ndim - 1, heads.repeat_interleave(out.in_features // num_heads), known, constant)
        tape.blocks[path] = tape.name(query.weight) or ""
        return
    heads = _join_heads(tape, (query, key, value), out, num_heads)
    tape.blocks[path] = tape.name(query.weight) or ""

    def back() -> None:
        tape.atoms.keep(heads[_alive(out.weight, torch.ones(out.out_features).bool(), known, num_heads)])
        note_fold(tape, out.weight, out.bias, known, constant)

    tape.then(back)


def _join_heads(tape: Tape, linears: Sequence[nn.Linear], out: nn.Linear | None, num_heads: int) -> Tensor:
    """Return (head,) atoms, joined with the rows and columns that belong to each head."""
    heads = tape.atoms.new(num_heads)
    for linear in linears:
        rows = heads.repeat_interleave(linear.out_features // num_heads)
        tape.atoms.join(rows, tape.axis(linear.weight, 0))
        if linear.bias is not None:
            tape.atoms.join(rows, tape.axis(linear.bias, 0))
    if out is not None:
        tape.atoms.join(heads.repeat_interleave(out.in_features // num_heads), tape.axis(out.weight, 1))
    return heads


def _alive(out: Tensor, needed: Tensor, known: Tensor, num_heads: int) -> Tensor:
    """Return, as (head,), whether a needed output reads something of the head that is not constant."""
    read = ((out != 0) & needed[:, None]).any(dim=0)
    return (read & ~known).reshape(num_heads, -1).any(dim=1)


def _constants(units: Units | None, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return known and value of what a layer reads, (input,) each."""
    if units is None:
        nothing = torch.zeros(linear.in_features)
        return nothing.bool(), nothing.to(linear.weight.dtype)
    return units.known, units.value


HEADS: dict[str, Handler] = {"attend": attention}
