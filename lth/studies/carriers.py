"""What carries the spikes of a network, and what became of the spikes of the one before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lth.analysis.effects import per_token
from lth.analysis.super_weights import Estimate
from lth.data import Examples
from lth.superweights import Coordinate
from lth.superweights.find import find
from lth.superweights.places import projection_at
from lth.superweights.projections import down_projections, edited
from lth.superweights.texts import block_losses
from lth.superweights.top import strongest

CANDIDATE, TOP = "candidate", "top weight"
"""Kinds of what is followed: a weight that meets the limits of a search for super weights, or where none does the
strongest spike of the network."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """A weight that carries a spike of one network.

    Attributes:
        coordinate: of the weight.
        kind: CANDIDATE or TOP.
        weight: its value.
        input: its activation there; `output` that of its channel.
        output: of its channel.
        share: |input * weight| / |output|, the least over windows of a candidate.
        over_channels: |output| over the median channel's, the least likewise.
        effect: loss without the weight minus loss, in nats a token, with the interval over windows.
    """

    coordinate: Coordinate
    kind: str
    weight: float
    input: float
    output: float
    share: float
    over_channels: float
    effect: Estimate


def looker(
    prompts: list[list[int]], examples: Examples, confidence: float
) -> Callable[[nn.Module], tuple[Carrier, ...]]:
    """Return what looks at a network: its candidates on these prompts, or its top weight."""

    def look(module: nn.Module) -> tuple[Carrier, ...]:
        before, tokens = block_losses(module, examples)

        def effect(coordinate: Coordinate) -> Estimate:
            by_place = {(each.block, each.expert): each for each in down_projections(module)}
            with edited(projection_at(coordinate, by_place)) as weight:
                weight[coordinate.output, coordinate.input] = 0
                rises = block_losses(module, examples)[0] - before
            return per_token(rises.tolist(), tokens.tolist(), confidence)

        found = find(module, prompts).leading()
        if found:
            return tuple(
                Carrier(
                    c.coordinate, CANDIDATE, c.weight, c.input, c.output, c.share, c.over_channels, effect(c.coordinate)
                )
                for c in found
            )
        return (_top(module, prompts, effect),)

    return look


def _top(module: nn.Module, prompts: list[list[int]], effect: Callable[[Coordinate], Estimate]) -> Carrier:
    def run() -> None:
        for prompt in prompts:
            module(torch.tensor([prompt]))

    shown = strongest(down_projections(module), run)
    assert shown is not None  # `find` has refused activations that are not finite
    top = shown.top
    return Carrier(
        top.coordinate, TOP, top.weight, top.input, top.output, top.share, top.over_channels, effect(top.coordinate)
    )


def events(before: Sequence[Carrier], after: Sequence[Carrier]) -> Iterator[tuple[str, Carrier | None, Carrier | None]]:
    """Yield what became of each spike, and the weights that carried it before and carry it now.

    `kept`: the same weight carries it; `moved`: another one of the same kind does, that did not before and writes to
    the same channel of the residual stream, or else lies in the same block; `gone`: none does; `born`: one that no
    earlier spike moved to.
    """
    now = {each.coordinate: each for each in after}
    known = {each.coordinate for each in before}
    free = [each for each in after if each.coordinate not in known]
    for old in before:
        if old.coordinate in now:
            yield "kept", old, now[old.coordinate]
            continue
        near = [each for each in free if each.kind == old.kind and _nearness(old, each)]
        near.sort(key=lambda each: -_nearness(old, each))
        if near:
            free.remove(near[0])
        yield ("moved", old, near[0]) if near else ("gone", old, None)
    for each in free:
        yield "born", None, each


def _nearness(one: Carrier, other: Carrier) -> int:
    """Return 2 for weights that write to one channel, 1 for others of one block, 0 for none of it."""
    if one.coordinate.output == other.coordinate.output:
        return 2
    return int(one.coordinate.block == other.coordinate.block)
