"""Dead units: neurons and channels that no weight reaches, that no weight reads, or that never respond.

Weights and masks are taken as (output, input, ...), the layout of Linear and convolutions; transpose a Hugging Face
`Conv1D` first. What is not zero (or True) counts as a weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from lth.sparsity.metrics.probe import watched


@dataclass(frozen=True, slots=True, eq=False)
class DeadUnits:
    """Which units between two layers are dead, by their weights.

    Attributes:
        no_incoming: (unit,), True where every incoming weight is gone: the unit is a constant, its bias.
        no_outgoing: (unit,), True where every outgoing weight is gone: nothing reads the unit.
    """

    no_incoming: Tensor
    no_outgoing: Tensor

    @property
    def dead(self) -> Tensor:
        """(unit,), True where either holds: the unit passes nothing of the input on."""
        return self.no_incoming | self.no_outgoing


def dead_outputs(matrix: Tensor) -> Tensor:
    """(output,), True where all weights into an output are gone. `matrix` is (output, input, ...), weights or mask."""
    return ~_as_matrix(matrix).any(dim=1)


def dead_inputs(matrix: Tensor) -> Tensor:
    """(input,), True where all weights that read an input are gone. `matrix` is (output, input, ...), weights or mask.

    In a grouped convolution, whose weight is (output, input / groups, ...), an entry speaks of the inputs at that place
    in all groups.
    """
    present = _as_matrix(matrix).reshape(matrix.shape[0], matrix.shape[1], -1)
    return ~present.any(dim=2).any(dim=0)


def dead_units(incoming: Tensor, outgoing: Tensor) -> DeadUnits:
    """The dead units between two layers that follow each other.

    Args:
        incoming: (unit, input, ...), weights or mask of the layer that makes the units.
        outgoing: (output, unit, ...), weights or mask of the layer that reads them. A Linear that reads flattened
            channels has a whole number of columns per channel, in the channels' order; they count together.
    Raises:
        ValueError: if the second layer's inputs are no whole multiple of the units.
    """
    no_incoming, unread = dead_outputs(incoming), dead_inputs(outgoing)
    num_units, num_inputs = no_incoming.numel(), unread.numel()
    if num_inputs == 0 or num_units == 0 or num_inputs % num_units:
        raise ValueError(
            f"a layer with {num_units} outputs cannot feed one with {num_inputs} inputs: name two layers that follow "
            "each other, both as (output, input, ...)"
        )
    return DeadUnits(no_incoming, unread.reshape(num_units, -1).all(dim=1))


def dead_units_in_chain(layers: Sequence[Tensor]) -> list[DeadUnits]:
    """The dead units of each hidden layer of a chain, one entry per pair of neighbours.

    Each pair is looked at by itself: a unit that reads dead units only is not called dead for it. (Once its weights are
    removed as well it is, so repeat after each removal to follow the chain of effects.)

    Args:
        layers: weights or masks, (output, input, ...), in the order in which the signal passes them.
    Raises:
        ValueError: if there are fewer than two, or two neighbours do not fit.
    """
    if len(layers) < 2:
        raise ValueError(f"a chain has two layers or more, found {len(layers)}")
    return [dead_units(first, second) for first, second in pairwise(layers)]


def mean_activations(
    module: nn.Module, layers: Sequence[str], inputs: Tensor, *, unit_axis: int = 1, batch_size: int = 256
) -> dict[str, Tensor]:
    """Mean |activation| of each unit over examples (and positions), (unit,) in float64 by layer.

    The module runs in evaluation mode and without gradients, and is left as it was found.

    Args:
        module: the network, on the device of the inputs.
        layers: names of submodules whose outputs are the activations, as in `module.named_modules()`. For units behind
            a non-linearity name the non-linearity.
        inputs: (example, ...).
        unit_axis: 1 for (example, unit) and (example, channel, height, width), -1 for (example, position, unit).
        batch_size: examples run together.
    Raises:
        ValueError: if a layer is unknown, was not run, or gives no tensor; or there are no examples.
    """
    if not len(inputs):
        raise ValueError("there are no examples to run: give at least one")
    known = dict(module.named_modules())
    for name in layers:
        if name not in known:
            raise ValueError(f"the module has no layer {name!r}. Layers: {', '.join(filter(None, known))}")
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(layers, 0)

    def add(name: str, output: object) -> None:
        if not isinstance(output, Tensor) or output.ndim < 2:
            found = f"of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"layer {name!r} gives no tensor of (example, unit, ...), but {found}: name another")
        by_unit = output.detach().abs().double().movedim(unit_axis, 0).flatten(1)
        sums[name] = sums.get(name, torch.zeros((), dtype=torch.float64, device=output.device)) + by_unit.sum(dim=1)
        counts[name] += by_unit.shape[1]

    hooks = {name: lambda _layer, _inputs, _keywords, output, name=name: add(name, output) for name in layers}
    with watched(module, hooks):
        for start in range(0, len(inputs), batch_size):
            module(inputs[start : start + batch_size])
    if missing := [name for name in layers if name not in sums]:
        raise ValueError(f"layer {missing[0]!r} was not run for these inputs: name one that is")
    return {name: sums[name] / counts[name] for name in layers}


def silent_units(
    module: nn.Module,
    layers: Sequence[str],
    inputs: Tensor,
    *,
    threshold: float = 0.0,
    unit_axis: int = 1,
    batch_size: int = 256,
) -> dict[str, Tensor]:
    """(unit,) by layer, True where the mean |activation| over the examples is at most the threshold.

    At the default threshold these are the units that are exactly zero for every example (dead ReLUs).

    Args:
        threshold: at least 0, in the units of the activations.
        module, layers, inputs, unit_axis, batch_size: see `mean_activations`.
    Raises:
        ValueError: if the threshold is negative, or as `mean_activations`.
    """
    if not threshold >= 0:
        raise ValueError(f"threshold {threshold} is negative: a mean |activation| is 0 or more")
    means = mean_activations(module, layers, inputs, unit_axis=unit_axis, batch_size=batch_size)
    return {name: mean <= threshold for name, mean in means.items()}


def _as_matrix(matrix: Tensor) -> Tensor:
    """(output, input * kernel), True where there is a weight."""
    if matrix.ndim < 2:
        raise ValueError(f"expected (output, input, ...), found shape {tuple(matrix.shape)}: a vector has no inputs")
    return (matrix if matrix.dtype == torch.bool else matrix != 0).flatten(1)
