"""Functions that treat each unit by itself: activations, sums and products of activations, pooling over positions."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lth.sparsity.compact.tape import Call, Handler, Tape


def unary(tape: Tape, call: Call) -> bool:
    """Follow one activation with numbers beside it: the function itself says what becomes of a constant."""
    units = tape.units(call.args[0]) if call.args else None
    others = [*call.args[1:], *call.kwargs.values()]
    if units is None or not isinstance(call.output, Tensor) or any(isinstance(other, Tensor) for other in others):
        return False
    value = call.function(units.value.clone(), *call.args[1:], **call.kwargs)
    result = tape.follow(call.output, units.axis, units.atoms, units.known, value)
    tape.then(lambda: units.need(result.needed))
    return True


def dropout(tape: Tape, call: Call) -> bool:
    """Follow dropout, which does nothing in evaluation mode."""
    given = call.bound("input", "p", "training")
    units = tape.units(given["input"])
    if units is None or given["training"] is not False:
        return False
    result = tape.follow(call.output, units.axis, units.atoms, units.known, units.value)
    tape.then(lambda: units.need(result.needed))
    return True


def binary(tape: Tape, call: Call) -> bool:
    """Follow two activations with units along one axis, or one and anything without units (a number, a parameter).

    A sum is constant where both are; a product also where one of them is zero.
    """
    both = call.args[:2]
    if len(both) != 2 or "out" in call.kwargs or not isinstance(call.output, Tensor):
        return False
    followed = [(tensor.ndim - units.axis, units) for tensor in both if (units := tape.units(tensor)) is not None]
    if not followed:
        return False
    place, first = followed[0]  # the axis of the units, counted from the right
    if first.size == 1 or any(each != place or units.size != first.size for each, units in followed):
        return False
    sides = [_side(tape, operand, place, first.size) for operand in both]
    if any(side is None for side in sides):
        return False
    (known_a, value_a, atoms_a), (known_b, value_b, atoms_b) = (side for side in sides if side is not None)
    for atoms in (atoms_a, atoms_b):
        if atoms is not None:
            tape.atoms.join(first.atoms, atoms)
    is_zero_a, is_zero_b = known_a & (value_a == 0), known_b & (value_b == 0)
    is_product = call.name in PRODUCTS
    known = known_a & known_b | (is_product & (is_zero_a | is_zero_b))
    units_a, units_b = (tape.units(operand) for operand in both)  # before `follow`: in place, output and input are one
    value = call.function(value_a.clone(), value_b, *call.args[2:], **call.kwargs)
    result = tape.follow(call.output, call.output.ndim - place, first.atoms, known, value)

    def back() -> None:
        # Where the one is zero the other is not read; of two zeros the second is not.
        if units_a is not None:
            units_a.need(result.needed & ~(is_product & is_zero_b & ~is_zero_a))
        if units_b is not None:
            units_b.need(result.needed & ~(is_product & is_zero_a))

    tape.then(back)
    return True


def pool(tape: Tape, call: Call) -> bool:
    """Follow pooling and interpolation over axes after the units'. A constant stays one, but for zero padding."""
    if not call.args or not isinstance(call.output, Tensor):
        return False
    inputs, units = call.args[0], tape.units(call.args[0])
    axes = re.search(r"([123])d", call.name)
    if units is None or units.axis != (inputs.ndim - int(axes[1]) - 1 if axes else 1):
        return False
    known = units.known
    if call.name.startswith("avg_pool"):
        given = call.bound("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
        padding = given["padding"] or 0
        if given["ceil_mode"] or any(padding if isinstance(padding, list | tuple) else (padding,)):
            known = known & (units.value == 0)
    result = tape.follow(call.output, units.axis, units.atoms, known, units.value)
    tape.then(lambda: units.need(result.needed))
    return True


def pad(tape: Tape, call: Call) -> bool:
    """Follow `F.pad` of other axes than the units'. A constant stays one if it is padded with itself."""
    given = call.bound("input", "pad", "mode", "value")
    inputs, units = given["input"], tape.units(given["input"])
    if units is None or inputs.ndim - units.axis <= len(given["pad"]) // 2:
        return False
    known = units.known
    if given["mode"] in (None, "constant"):
        known = known & (units.value == (given["value"] or 0.0))
    result = tape.follow(call.output, units.axis, units.atoms, known, units.value)
    tape.then(lambda: units.need(result.needed))
    return True


def mean(tape: Tape, call: Call) -> bool:
    """Follow mean, largest or smallest over other axes than the units'."""
    given = call.bound("input", "dim", "keepdim")
    inputs, units, axes = given["input"], tape.units(given["input"]), given["dim"]
    if units is None or axes is None or not isinstance(call.output, Tensor):
        return False
    reduced = {axis % inputs.ndim for axis in (axes if isinstance(axes, list | tuple) else (axes,))}
    if units.axis in reduced:
        return False
    axis = units.axis if given["keepdim"] else units.axis - sum(each < units.axis for each in reduced)
    result = tape.follow(call.output, axis, units.atoms, units.known, units.value)
    tape.then(lambda: units.need(result.needed))
    return True


Side = tuple[Tensor, Tensor, Tensor | None]
"""(unit,) known, (unit,) value, and atoms that go with those of the activation."""


def _side(tape: Tape, operand: Any, place: int, size: int) -> Side | None:
    """Return one operand of a sum or product, seen along the axis of the units; None if it cannot be cut with them."""
    units = tape.units(operand)
    if units is not None:
        return units.known, units.value, units.atoms
    if not isinstance(operand, Tensor):
        return torch.ones(size, dtype=torch.bool), torch.full((size,), float(operand)), None
    axis = operand.ndim - place
    if axis < 0 or operand.shape[axis] == 1:
        is_number = operand.numel() == 1 and not tape.depends_on_input(operand)
        value = operand.detach().flatten()[0] if is_number else torch.zeros((), dtype=operand.dtype)
        if tape.name(operand) is not None:
            for each in range(operand.ndim):
                tape.atoms.keep(tape.axis(operand, each))
        return torch.full((size,), is_number), value.expand(size), None
    if tape.name(operand) is None:
        return None  # as wide as the units, but nothing that we could cut
    values = operand.detach().movedim(axis, 0).reshape(size, -1)
    for each in range(operand.ndim):
        if each != axis:
            tape.atoms.keep(tape.axis(operand, each))
    return (values == values[:, :1]).all(dim=1), values[:, 0], tape.axis(operand, axis)


PRODUCTS = ("mul", "multiply", "__rmul__", "__mul__")

ACTIVATIONS = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign", "tanh",
    "tanhshrink", "sigmoid", "logsigmoid", "hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink",
    "threshold", "abs", "neg", "square", "sqrt", "rsqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "erf",
    "reciprocal", "clamp", "clip", "clone", "contiguous", "detach", "to", "float", "double", "__neg__", "identity",
)  # fmt: skip

DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")

BINARIES = (
    *PRODUCTS, "add", "sub", "subtract", "rsub", "div", "divide", "true_divide", "maximum", "minimum", "pow",
    "__add__", "__radd__", "__sub__", "__rsub__", "__truediv__", "__rdiv__", "__rtruediv__", "__pow__",
)  # fmt: skip

POOLS = (
    *(f"{kind}_pool{axes}d" for kind in ("max", "avg", "adaptive_max", "adaptive_avg") for axes in (1, 2, 3)),
    "interpolate", "upsample",
)  # fmt: skip

ELEMENTWISE: Mapping[str, Handler] = (
    dict.fromkeys(ACTIVATIONS, unary)
    | dict.fromkeys(DROPOUTS, dropout)
    | dict.fromkeys(BINARIES, binary)
    | dict.fromkeys(POOLS, pool)
    | {"pad": pad, "mean": mean, "amax": mean, "amin": mean}
)
