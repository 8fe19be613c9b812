"""Functions that move numbers and change none: which axis the units lie along afterwards, and in what order."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lth.sparsity.compact.tape import Call, Handler, Tape
from lth.sparsity.compact.units import Units


def moved(tape: Tape, call: Call) -> bool:
    """Follow flatten, transpose, indexing and the like: the function, run on the units' numbers, says where they go.

    Followed are calls after which the units lie along one axis, all of them and in their order, each perhaps several
    times in a row (flattened positions). Sizes that the network's code gives for that axis must be -1: a number would
    no longer fit.
    """
    units = tape.units(call.args[0]) if call.args else None
    if units is None or units.size == 1:
        return False
    inputs = call.args[0]
    along = torch.arange(units.size).view([-1 if axis == units.axis else 1 for axis in range(inputs.ndim)])
    numbers = torch.empty_like(inputs, dtype=torch.int64).copy_(along)  # as the input lies in memory, for `view`
    results = call.function(numbers, *call.args[1:], **call.kwargs)
    outputs = call.output if isinstance(call.output, list | tuple) else [call.output]
    results = results if isinstance(results, list | tuple) else [results]
    places = [_place(result, units.size) for result in results]
    for output, place in zip(outputs, places, strict=True):
        if place is None or (call.name in SIZED and not _is_free(call, place[0], output.ndim)):
            return False
    for output, place in zip(outputs, places, strict=True):
        assert place is not None
        axis, index = place
        _follow(tape, output, axis, index, units)
    return True


def concatenated(tape: Tape, call: Call) -> bool:
    """Follow `torch.cat`: along the units' axis, of anything; along another, of activations with equal units."""
    given = call.bound("tensors", "dim")
    tensors, axis = given["tensors"], (given["dim"] or 0) % call.output.ndim
    parts = [tape.units(tensor) for tensor in tensors]
    followed = [part for part in parts if part is not None]
    if not followed or any(tensor.ndim != call.output.ndim for tensor in tensors):
        return False
    if all(part.axis == axis for part in followed):
        parts = [part or _every_unit(tape, tensor, axis) for part, tensor in zip(parts, tensors, strict=True)]
        sides = [part for part in parts if part is not None]
        atoms, known, value = (
            torch.cat([getattr(part, field) for part in sides]) for field in ("atoms", "known", "value")
        )
        result = tape.follow(call.output, axis, atoms, known, value)

        def back() -> None:
            for part, needed in zip(sides, torch.split(result.needed, [part.size for part in sides]), strict=True):
                part.need(needed)

        tape.then(back)
        return True
    first = followed[0]
    if len(followed) < len(parts) or any(part.axis != first.axis for part in followed):
        return False
    known = torch.stack([part.known & (part.value == first.value) for part in followed]).all(dim=0)
    for part in followed[1:]:
        tape.atoms.join(first.atoms, part.atoms)
    result = tape.follow(call.output, first.axis, first.atoms, known, first.value)
    for part in followed:
        tape.then(partial(part.need, result.needed))
    return True


def _follow(tape: Tape, output: Tensor, axis: int, index: Tensor, units: Units) -> None:
    result = tape.follow(output, axis, units.atoms[index], units.known[index], units.value[index])
    tape.then(lambda: units.need(torch.zeros_like(units.needed).index_put_((index,), result.needed, accumulate=True)))


def _place(result: Any, size: int) -> tuple[int, Tensor] | None:
    """Return the axis along which the units' numbers vary in a result, and the numbers; None if not as `moved` says."""
    if not isinstance(result, Tensor) or result.numel() == 0:
        return None
    varying = [axis for axis in range(result.ndim) if (result != result.narrow(axis, 0, 1)).any()]
    if len(varying) != 1:
        return None
    index = result.movedim(varying[0], 0).flatten(1)[:, 0].contiguous()
    is_complete = index.numel() % size == 0 and torch.equal(
        index, torch.arange(size).repeat_interleave(index.numel() // size)
    )
    return (varying[0], index) if is_complete else None


def _is_free(call: Call, axis: int, num_axes: int) -> bool:
    """Return whether the size that a call gives for an axis is left to PyTorch."""
    sizes = call.args[1:]
    if len(sizes) == 1 and isinstance(sizes[0], list | tuple):
        sizes = tuple(sizes[0])
    return not call.kwargs and len(sizes) == num_axes and sizes[axis] == -1


def _every_unit(tape: Tape, tensor: Tensor, axis: int) -> Units:
    """Return something without units as units that all stay."""
    atoms = tape.atoms.new(tensor.shape[axis])
    tape.atoms.keep(atoms)
    nothing = torch.zeros(atoms.shape)
    return Units(axis, atoms, nothing.bool(), nothing.to(tensor.dtype), nothing.bool())


SIZED = ("view", "reshape", "expand")
"""Functions that the caller gives sizes."""

SHAPES: Mapping[str, Handler] = dict.fromkeys(
    (
        *SIZED, "flatten", "transpose", "swapaxes", "swapdims", "permute", "movedim", "moveaxis", "t", "unsqueeze",
        "squeeze", "select", "narrow", "__getitem__", "__get__", "chunk", "split", "unbind",
    ),
    moved,
) | {"cat": concatenated, "concat": concatenated, "concatenate": concatenated}  # fmt: skip
