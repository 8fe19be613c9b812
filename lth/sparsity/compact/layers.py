"""Layers with weights: which outputs are constant, which inputs are read, and which constants go into the bias."""

import torch
from torch import Tensor, nn

from lth.sparsity.compact.tape import Call, Fold, Handler, Tape
from lth.sparsity.compact.units import Units


def linear(tape: Tape, call: Call) -> bool:
    """Follow `F.linear` on the last axis."""
    given = call.bound("input", "weight", "bias")
    inputs, weight, bias = given["input"], given["weight"], given["bias"]
    if tape.name(weight) is None or (bias is not None and tape.name(bias) is None) or weight.ndim != 2:
        return False
    units = tape.units(inputs)
    if units is not None and units.axis != inputs.ndim - 1:
        return False
    _multiply(tape, call.output, call.output.ndim - 1, units, weight, bias, is_padded=False)
    return True


def convolution(tape: Tape, call: Call) -> bool:
    """Follow `F.conv1d`, `conv2d` and `conv3d` over a batch, plain or depthwise."""
    given = call.bound("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    inputs, weight, bias, groups = given["input"], given["weight"], given["bias"], given["groups"] or 1
    if tape.name(weight) is None or (bias is not None and tape.name(bias) is None) or inputs.ndim != weight.ndim:
        return False
    units = tape.units(inputs)
    if units is not None and units.axis != 1:
        return False
    is_padded = _is_padded(given["padding"])
    if groups == 1:
        _multiply(tape, call.output, 1, units, weight, bias, is_padded)
        return True
    if units is None or not groups == units.size == weight.shape[0]:
        return False
    _depthwise(tape, call.output, units, weight, bias, is_padded)
    return True


def batch_norm(tape: Tape, call: Call) -> bool:
    """Follow `F.batch_norm` with running statistics: a line for each unit."""
    given = call.bound("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    units, mean, variance = tape.units(given["input"]), given["running_mean"], given["running_var"]
    if units is None or units.axis != 1 or given["training"] or mean is None or variance is None:
        return False
    tensors = [each for each in (mean, variance, given["weight"], given["bias"]) if each is not None]
    if any(tape.name(each) is None for each in tensors):
        return False
    for each in tensors:
        tape.atoms.join(units.atoms, tape.axis(each, 0))
    eps = 1e-5 if given["eps"] is None else given["eps"]
    scale = torch.ones_like(mean) if given["weight"] is None else given["weight"]
    shift = torch.zeros_like(mean) if given["bias"] is None else given["bias"]
    value = (units.value - mean) / torch.sqrt(variance + eps) * scale + shift
    # A scale of zero makes a constant of the shift, whatever comes in.
    value = torch.where(scale == 0, shift, value)
    result = tape.follow(call.output, 1, units.atoms, units.known | (scale == 0), value)
    tape.then(lambda: units.need(result.needed & (scale != 0)))
    return True


def embedding(tape: Tape, call: Call) -> bool:
    """Follow `F.embedding`: units are the columns of the table."""
    given = call.bound("input", "weight", "padding_idx", "max_norm")
    weight = given["weight"]
    if tape.name(weight) is None or given["max_norm"] is not None:
        return False
    tape.atoms.keep(tape.axis(weight, 0))
    is_constant = (weight == weight[:1]).all(dim=0)
    tape.follow(call.output, call.output.ndim - 1, tape.axis(weight, 1), is_constant, weight[0])
    return True


def outcome(weight: Tensor, bias: Tensor | None, known: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Return which outputs of a matrix are constant given the constant inputs, and the constants; (output,) each."""
    is_constant = ~((weight != 0) & ~known).any(dim=1)
    constant = weight.double() @ torch.where(known, value, 0).double()
    return is_constant, (constant if bias is None else constant + bias.double()).to(weight.dtype)


def can_absorb(tape: Tape, weight: Tensor, bias: Tensor | None) -> bool:
    """Return whether constants that this layer reads can go into its bias: it runs once, and has or can get a bias."""
    if not tape.is_single_use(weight):
        return False
    if bias is not None:
        return tape.is_single_use(bias)
    return isinstance(tape.owner(weight)[1], nn.Linear | nn.modules.conv._ConvNd)


def note_fold(tape: Tape, weight: Tensor, bias: Tensor | None, known: Tensor, value: Tensor) -> None:
    """Note the constants that a layer takes into its bias."""
    name = tape.name(weight)
    assert name is not None
    if known.any():
        bias_name = f"{name.rpartition('.')[0]}.bias".lstrip(".") if bias is None else tape.name(bias)
        assert bias_name is not None
        tape.folds.append(Fold(name, bias_name, known, value))


def _multiply(
    tape: Tape, output: Tensor, axis: int, units: Units | None, weight: Tensor, bias: Tensor | None, is_padded: bool
) -> None:
    """Follow a matrix, or a convolution as the matrix of its kernels' sums: that is what it does to constants."""
    rows, columns = tape.axis(weight, 0), tape.axis(weight, 1)
    tape.feed(units, columns)
    if bias is not None:
        tape.atoms.join(rows, tape.axis(bias, 0))
    present, sums = (weight != 0).flatten(2).any(2) if weight.ndim > 2 else weight != 0, _kernel_sums(weight)
    nothing = torch.zeros(weight.shape[1])
    known = nothing.bool() if units is None else units.known & (units.value == 0 if is_padded else True)
    value = nothing.to(weight.dtype) if units is None else units.value
    is_constant = ~(present & ~known).any(dim=1)
    result = tape.follow(output, axis, rows, is_constant, outcome(sums, bias, known, value)[1])
    if units is None:
        return
    absorbs = can_absorb(tape, weight, bias)
    place = tape.place
    reason = "the layer runs more than once" if not absorbs else "zero padding makes them differ from place to place"

    def back() -> None:
        read = (present & result.needed[:, None]).any(dim=0)
        needed = read & ~known if absorbs else read
        units.need(needed)
        if held := int((needed & units.known).sum()):
            tape.leave(place, held, reason)
        if absorbs:
            note_fold(tape, weight, bias, known, value)

    tape.then(back)


def _depthwise(tape: Tape, output: Tensor, units: Units, weight: Tensor, bias: Tensor | None, is_padded: bool) -> None:
    """Follow one kernel for each channel: a channel goes with its kernel."""
    rows = tape.axis(weight, 0)
    tape.atoms.join(units.atoms, rows)
    if bias is not None:
        tape.atoms.join(rows, tape.axis(bias, 0))
    is_read = (weight != 0).flatten(1).any(dim=1)
    known = units.known & (units.value == 0 if is_padded else True)
    value = units.value * weight.flatten(1).sum(dim=1) + (0 if bias is None else bias)
    result = tape.follow(output, 1, rows, known | ~is_read, value)
    tape.then(lambda: units.need(result.needed & is_read))


def _kernel_sums(weight: Tensor) -> Tensor:
    return weight.flatten(2).sum(2) if weight.ndim > 2 else weight


def _is_padded(padding: object) -> bool:
    if padding is None or padding == "valid":
        return False
    return padding == "same" or any(padding if isinstance(padding, list | tuple) else (padding,))


LAYERS: dict[str, Handler] = {
    "linear": linear,
    "conv1d": convolution,
    "conv2d": convolution,
    "conv3d": convolution,
    "batch_norm": batch_norm,
    "embedding": embedding,
}
