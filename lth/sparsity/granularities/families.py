"""Families: tensors whose slices live and die together, one function per granularity."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from lth.sparsity.granularities.axes import Axes
from lth.sparsity.granularities.coupled import Coupled
from lth.sparsity.granularities.structure import Structure
from lth.sparsity.types import Shapes


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Tensors that are cut into the same units.

    Attributes:
        num_units: how many units there are.
        units: for each tensor the unit of its weights, int64, broadcasting to the tensor's shape. The first tensor
            gives the family its name and its shape before scopes and name patterns.
    """

    num_units: int
    units: dict[str, Tensor]

    @property
    def name(self) -> str:
        return next(iter(self.units))


Families = Callable[[Shapes, Structure], list[Family]]
"""(shapes of the prunable tensors, structure of the network) -> disjoint families; other tensors stay as they are."""


def output_units(shapes: Shapes, structure: Structure) -> list[Family]:
    """Take rows: all weights into one unit of a layer. The last layer's units are the classes: it stays dense."""
    return [
        _along(name, shapes[name], axes, axes.output)
        for name, axes in structure.axes.items()
        if name in shapes and name not in structure.outputs
    ]


def input_units(shapes: Shapes, structure: Structure) -> list[Family]:
    """Take columns: all weights out of one unit into a layer.

    The first layer's columns are the data's features. A Linear may lose them (most pixels at the border of an image say
    nothing); a first convolution stays dense, since its few channels are the colours, and one of one is the image.
    """
    return [
        _along(name, shapes[name], axes, axes.input)
        for name, axes in structure.axes.items()
        if name in shapes and not (name in structure.inputs and axes.is_convolution)
    ]


def filters(shapes: Shapes, structure: Structure) -> list[Family]:
    """Take output units of convolutions. Source: Li et al. 2017, arXiv:1608.08710."""
    return output_units(_convolutions(shapes, structure), structure)


def channels(shapes: Shapes, structure: Structure) -> list[Family]:
    """Take input units of convolutions. Source: He et al. 2017, arXiv:1707.06168."""
    return input_units(_convolutions(shapes, structure), structure)


def heads(shapes: Shapes, structure: Structure) -> list[Family]:
    """Take attention heads: rows of query, key and value with columns of the output projection.

    With grouped-query attention a unit is a key and value head with all its query heads.

    Source: Michel et al. 2019, arXiv:1905.10650.
    """
    return _coupled(shapes, structure.heads)


def neurons(shapes: Shapes, structure: Structure) -> list[Family]:
    """Take hidden neurons of transformer blocks: rows of an MLP's first layer (and gate), columns of its second."""
    return _coupled(shapes, structure.neurons)


def blocks(num_outputs: int, num_inputs: int) -> Families:
    """Take blocks of so many outputs by so many inputs, all spatial positions included; blocks at the edge are smaller.

    Inputs of grouped convolutions are counted within their group.
    """

    def cut(shapes: Shapes, structure: Structure) -> list[Family]:
        families = []
        for name, axes in structure.axes.items():
            if name in shapes:
                shape = shapes[name]
                rows = _broadcast(torch.arange(shape[axes.output]) // num_outputs, axes.output, len(shape))
                columns = _broadcast(torch.arange(shape[axes.input]) // num_inputs, axes.input, len(shape))
                index = rows * (int(columns.max()) + 1) + columns
                families.append(Family(int(index.max()) + 1, {name: index}))
        return families

    return cut


def _along(name: str, shape: torch.Size, axes: Axes, axis: int) -> Family:
    """Return one unit per slice across an axis; in a grouped convolution axis 1 starts anew in each group of axis 0."""
    index = _broadcast(torch.arange(shape[axis]), axis, len(shape))
    if axis == 1 and axes.groups > 1:
        group = torch.arange(shape[0]) // (shape[0] // axes.groups)
        index = _broadcast(group, 0, len(shape)) * shape[1] + index
    return Family(int(index.max()) + 1, {name: index})


def _coupled(shapes: Shapes, coupled: Iterable[Coupled]) -> list[Family]:
    families = []
    for each in coupled:
        units: dict[str, Tensor] = {}
        for side in each.sides:
            if side.name in shapes:
                shape = shapes[side.name]
                run = shape[side.axis] // side.repeats
                unit = torch.arange(shape[side.axis]) % run // (run // each.num_units)
                units[side.name] = _broadcast(unit, side.axis, len(shape))
        if units:
            families.append(Family(each.num_units, units))
    return families


def _broadcast(index: Tensor, axis: int, num_axes: int) -> Tensor:
    return index.view([-1 if other == axis else 1 for other in range(num_axes)])


def _convolutions(shapes: Shapes, structure: Structure) -> Shapes:
    return {name: shapes[name] for name, axes in structure.axes.items() if axes.is_convolution and name in shapes}
