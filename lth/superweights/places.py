"""What single weights are in their matrices: value and rank."""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict
from torch import nn

from lth.superweights.coordinates import Coordinate
from lth.superweights.projections import DownProjection, down_projections


class Place(BaseModel):
    """One weight in its matrix.

    Attributes:
        coordinate: of the weight.
        name: of the parameter that holds it.
        weight: its value.
        rank: by magnitude in the matrix, 1 for the largest; equal ones share the best rank.
        shape: of the matrix, (output, input).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coordinate: Coordinate
    name: str
    weight: float
    rank: int
    shape: tuple[int, int]


def places(module: nn.Module, coordinates: Iterable[Coordinate]) -> list[Place]:
    """Return what some weights of a network are.

    Raises:
        ValueError: if a coordinate is not in the network.
    """
    by_place = {(each.block, each.expert): each for each in down_projections(module)}
    return [_place(coordinate, by_place) for coordinate in coordinates]


def _place(coordinate: Coordinate, by_place: dict[tuple[int, int | None], DownProjection]) -> Place:
    projection = projection_at(coordinate, by_place)
    matrix = projection.weight
    weight = matrix[coordinate.output, coordinate.input]
    return Place(
        coordinate=coordinate,
        name=projection.name,
        weight=weight.item(),
        rank=1 + int((matrix.abs() > weight.abs()).sum()),
        shape=projection.shape,
    )


def projection_at(coordinate: Coordinate, by_place: Mapping[tuple[int, int | None], DownProjection]) -> DownProjection:
    """Return the down-projection that holds a weight.

    Raises:
        ValueError: if none does.
    """
    projection = by_place.get((coordinate.block, coordinate.expert))
    if projection is None:
        blocks = sorted({block for block, _ in by_place})
        experts = len([1 for block, expert in by_place if block == coordinate.block and expert is not None])
        raise ValueError(
            f"({coordinate}) is no weight of this network: it has blocks {blocks[0]} to {blocks[-1]}"
            + (f", block {coordinate.block} with {experts} experts" if experts else ", none with experts")
        )
    outputs, inputs = projection.shape
    if coordinate.output >= outputs or coordinate.input >= inputs:
        raise ValueError(
            f"({coordinate}) is no weight of this network: the down-projection of {projection.place} has {outputs:,} "
            f"outputs and {inputs:,} inputs, counted from 0"
        )
    return projection
