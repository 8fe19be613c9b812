"""The strongest spike of a network, whether it meets any limit or not: its natural top weight."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lth.superweights.coordinates import Coordinate
from lth.superweights.projections import DownProjection, observed
from lth.superweights.spikes import SMALLEST


@dataclass(frozen=True, slots=True)
class TopWeight:
    """The weight whose contribution |input * weight| stands highest over the median channel of its block.

    Attributes:
        coordinate: of the weight.
        weight: its value.
        input: its activation where that is largest in absolute value; `output` that of its channel there.
        output: of its channel.
        share: |input * weight| / |output| there.
        strength: |input * weight| over the median, over channels, of the channels' largest |output|.
        over_channels: the largest |output| of its channel over the same.
    """

    coordinate: Coordinate
    weight: float
    input: float
    output: float
    share: float
    strength: float
    over_channels: float


@dataclass(frozen=True, slots=True)
class Strongest:
    """What passes showed: the strongest spike and the largest values of all down-projections.

    Attributes:
        top: the strongest spike.
        max_input: the largest |input|.
        max_output: the largest |output|.
        over_channels: the largest |output| over the median channel's of its matrix.
    """

    top: TopWeight
    max_input: float
    max_output: float
    over_channels: float


@dataclass(slots=True)
class _Seen:
    """What passes have shown of one projection so far; of the largest contribution all that there is to say."""

    maxima: Tensor  # (output,)
    max_input: float = 0.0
    contribution: float = -1.0
    place: tuple[int, int] = (0, 0)
    weight: float = math.nan
    input: float = math.nan
    output: float = math.nan


@torch.no_grad()
def strongest(projections: Sequence[DownProjection], run: Callable[[], object]) -> Strongest | None:
    """Return what down-projections show while `run` makes passes; None if something is not finite.

    Args:
        projections: of the network.
        run: calls it, in evaluation mode, any number of times.
    Raises:
        ValueError: if it passes none of the projections.
    """
    seen: dict[DownProjection, _Seen] = {}

    def see(projection: DownProjection, tokens: Tensor, inputs: Tensor, outputs: Tensor) -> None:
        _add(seen.setdefault(projection, _Seen(torch.zeros_like(outputs[0]))), projection.weight, inputs, outputs)

    with observed(projections, see):
        run()
    if not seen:
        raise ValueError("no token went through a down-projection: run the network on a token at least")
    tops = {projection: _top(projection, each) for projection, each in seen.items()}
    values = [value for each in tops.values() for value in (each.strength, each.over_channels)]
    values += [value for each in seen.values() for value in (each.max_input, *each.maxima.tolist())]
    if not all(map(math.isfinite, values)):
        return None
    return Strongest(
        top=max(tops.values(), key=lambda each: each.strength),
        max_input=max(each.max_input for each in seen.values()),
        max_output=max(float(each.maxima.max()) for each in seen.values()),
        over_channels=max(float(each.maxima.max() / _median(each)) for each in seen.values()),
    )


def _add(seen: _Seen, weight: Tensor, inputs: Tensor, outputs: Tensor) -> None:
    """Take up what a pass shows: inputs (row, input), outputs (row, output)."""
    seen.maxima = torch.maximum(seen.maxima, outputs.abs().amax(0))
    largest, rows = inputs.abs().max(0)  # (input,)
    by_input, outputs_of = weight.float().abs().max(0)
    contributions = largest * by_input
    channel = int(contributions.argmax())
    seen.max_input = max(seen.max_input, float(largest.max()))
    if not float(contributions[channel]) <= seen.contribution:  # NaN too
        place = int(outputs_of[channel]), channel
        row = int(rows[channel])
        seen.contribution, seen.place = float(contributions[channel]), place
        seen.weight, seen.input = float(weight[place]), float(inputs[row, channel])
        seen.output = float(outputs[row, place[0]])


def _median(seen: _Seen) -> float:
    return max(float(seen.maxima.median()), SMALLEST)


def _top(projection: DownProjection, seen: _Seen) -> TopWeight:
    output, input_ = seen.place
    return TopWeight(
        coordinate=Coordinate(block=projection.block, output=output, input=input_, expert=projection.expert),
        weight=seen.weight,
        input=seen.input,
        output=seen.output,
        share=seen.contribution / abs(seen.output) if seen.output else 0.0,
        strength=seen.contribution / _median(seen),
        over_channels=float(seen.maxima[output]) / _median(seen),
    )
