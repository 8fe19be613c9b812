"""What is done to a network to see what a weight does: change it, its row, its neuron, others, or what it causes.

An intervention is a small value that enters keys; what random weights, the largest others or rows of the largest norm
are follows from it and the network's own weights. `applied` makes it for a while and gives every bit back.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from lth.config.choices import Table
from lth.superweights import chosen
from lth.superweights.chosen import Chosen, Places
from lth.superweights.coordinates import Coordinate
from lth.superweights.places import projection_at
from lth.superweights.projections import DownProjection, down_projections, edited


class Intervention(BaseModel):
    """One change of a network.

    Attributes:
        kind: an entry of INTERVENTIONS.
        coordinates: the weights in question; others are chosen beside them. None for the network as it is.
        factor: what the chosen weights are multiplied by; 0 takes them out.
        count: how many others are chosen, by the kinds that choose.
        seed: of those that draw.
        value: what stands at the spike's token, of the kind `constant`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(default="none", description="entry of INTERVENTIONS")
    coordinates: tuple[Coordinate, ...] = Field(default=(), description="the weights in question")
    factor: float = Field(default=0.0, allow_inf_nan=False, description="what the chosen weights are multiplied by")
    count: int = Field(default=1, ge=1, description="how many others are chosen")
    seed: int = Field(default=0, ge=0, description="of the kinds that draw")
    value: float | None = Field(default=None, allow_inf_nan=False, description="what stands at the spike's token")

    @model_validator(mode="after")
    def _check(self) -> "Intervention":
        if (self.kind == "none") == bool(self.coordinates):
            raise ValueError(f"intervention {self.kind!r} on {len(self.coordinates)} coordinates: `none` takes none")
        return self

    def words(self) -> str:
        """Return what is done, in words."""
        return INTERVENTIONS.pick(self.kind).words(self)


@dataclass(frozen=True, slots=True)
class InterventionType:
    """One kind of intervention.

    Attributes:
        words: what one of this kind does.
        chosen: which weights of a matrix its factor multiplies.
        at_token: (contributions (batch, position), values (batch, position) of the output channel, intervention) ->
            the channel's value at the token where the weight contributes most, (batch,); None leaves outputs alone.
    """

    words: Callable[[Intervention], str]
    chosen: Chosen
    at_token: Callable[[Tensor, Tensor, Intervention], Tensor] | None = None


@contextmanager
def applied(module: nn.Module, intervention: Intervention) -> Iterator[None]:
    """Make an intervention until the end of the context; every bit of the network returns, after an exception too.

    Raises:
        ValueError: if a coordinate is not in the network, or the kind cannot be applied to it.
    """
    kind = INTERVENTIONS.pick(intervention.kind)
    places: dict[tuple[int, int | None], list[tuple[int, int]]] = {}
    for each in intervention.coordinates:
        places.setdefault((each.block, each.expert), []).append((each.output, each.input))
    with ExitStack() as undo:
        if places:
            by_place = {(each.block, each.expert): each for each in down_projections(module)}
            for coordinate in intervention.coordinates:
                projection_at(coordinate, by_place)
            for place, within in places.items():
                _apply(by_place[place], within, intervention, kind, undo)
        yield


def _apply(
    projection: DownProjection, places: Places, intervention: Intervention, kind: InterventionType, undo: ExitStack
) -> None:
    if kind.at_token is not None:
        if len(intervention.coordinates) > 1 or projection.expert is not None:
            found = " and ".join(f"({each})" for each in intervention.coordinates)
            raise ValueError(
                f"{intervention.kind!r} is of one weight that every token meets, no expert's; found {found}"
            )
        hook = _at_token(projection.weight[places[0]].item(), places[0], intervention, kind.at_token)
        undo.callback(projection.module.register_forward_hook(hook, with_kwargs=True).remove)
    weight = undo.enter_context(edited(projection))
    with torch.no_grad():
        mask = kind.chosen(weight, places, intervention.count, intervention.seed)
        weight[mask] = intervention.factor * weight[mask] if intervention.factor else 0.0  # zero without a sign


def _at_token(
    weight: float,
    place: tuple[int, int],
    intervention: Intervention,
    value_at: Callable[[Tensor, Tensor, Intervention], Tensor],
) -> Callable[[nn.Module, tuple[Tensor, ...], dict[str, Tensor], Tensor], Tensor]:
    """Return a forward hook that sets the output channel at one token of each sequence: where x * w is largest."""

    @torch.no_grad()
    def hook(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], outputs: Tensor) -> Tensor:
        (inputs,), (output, input_) = (*args, *kwargs.values()), place
        contributions = weight * inputs[..., input_].double()  # (batch, position), or of one sequence alone (position,)
        token = contributions.abs().argmax(-1, keepdim=True)
        outputs = outputs.clone()
        channel = outputs[..., output]
        value = value_at(contributions.gather(-1, token), channel.gather(-1, token).double(), intervention)
        channel.scatter_(-1, token, value.to(outputs.dtype))
        return outputs

    return hook


def _put_back(contribution: Tensor, value: Tensor, intervention: Intervention) -> Tensor:
    # Nothing before this matrix depends on the weight, so that x is that of the untouched network and no pass of it is
    # needed: what the change took from the channel is x * w, but for the factor that is left.
    return value + (1 - intervention.factor) * contribution


def _constant(_: Tensor, value: Tensor, intervention: Intervention) -> Tensor:
    if intervention.value is None:
        raise ValueError("intervention 'constant' needs a value: the mean of the output channel at its token")
    return torch.full_like(value, intervention.value)


def _changed(what: str) -> Callable[[Intervention], str]:
    """Return the words `WHAT zeroed`, or `WHAT times FACTOR`, with the fields of an intervention in their places."""

    def words(each: Intervention) -> str:
        first = each.coordinates[0]
        others = "".join(f" and ({coordinate})" for coordinate in each.coordinates[1:])
        text = what.format(
            weight=f"({first}){others}" if others else "the weight",
            but=f" but for{others.removeprefix(' and')}" if others else "",
            at=" and ".join(f"({coordinate})" for coordinate in each.coordinates),
            row=first.output,
            column=first.input,
            count=f"{each.count:,}",
            s="s" * (each.count != 1),
            seed=each.seed,
        )
        return f"{text} zeroed" if each.factor == 0 else f"{text} times {each.factor:g}"

    return words


INTERVENTIONS: Table[InterventionType] = Table(
    "intervention",
    {
        "none": InterventionType(lambda _: "the network as it is", chosen.nothing),
        "scale": InterventionType(_changed("{at}"), chosen.weights),
        "row": InterventionType(_changed("row {row}"), chosen.rows),
        "row-without": InterventionType(_changed("row {row} without {weight}"), chosen.rows_without),
        "column": InterventionType(_changed("neuron {column}"), chosen.columns),
        "column-without": InterventionType(_changed("neuron {column} without {weight}"), chosen.columns_without),
        "restore": InterventionType(
            lambda each: f"{_changed('{at}')(each)}, super activation put back at its token", chosen.weights, _put_back
        ),
        "constant": InterventionType(
            lambda each: (
                f"{_changed('{at}')(each)}, output {each.coordinates[0].output} held at {each.value or 0:.4g} "
                "at its token"
            ),
            chosen.weights,
            _constant,
        ),
        "random": InterventionType(
            _changed("{count} random weight{s} of the matrix{but} (draw {seed})"), chosen.other_weights(chosen.drawn)
        ),
        "largest": InterventionType(
            _changed("{count} largest other weight{s} of the matrix{but}"), chosen.other_weights(chosen.largest)
        ),
        "largest-rows": InterventionType(
            _changed("{count} other row{s} of largest norm{but}"), chosen.other_lines(chosen.largest, 0)
        ),
        "random-rows": InterventionType(
            _changed("{count} random row{s}{but} (draw {seed})"), chosen.other_lines(chosen.drawn, 0)
        ),
        "random-columns": InterventionType(
            _changed("{count} random neuron{s}{but} (draw {seed})"), chosen.other_lines(chosen.drawn, 1)
        ),
    },
)
"""Kinds of interventions by name; others that a kind chooses are never the weight itself, nor its row or column."""
