"""Units of activations: which axis they lie along, which are constant, which are needed, and which go together."""

from dataclasses import dataclass

import numpy as np
import scipy
import torch
from torch import Tensor


@dataclass(slots=True, eq=False)
class Units:
    """The units (features or channels) of one activation.

    Attributes:
        axis: the axis of the activation that they lie along.
        atoms: (unit,), int64: entries with the same atom, here or elsewhere, stay or go together.
        known: (unit,), whether the unit is one constant, whatever the input, the example and the position.
        value: (unit,), that constant; 0 where not known.
        needed: (unit,), whether somebody reads the value itself. A reader that takes a known value into its bias does
            not need the unit.
    """

    axis: int
    atoms: Tensor
    known: Tensor
    value: Tensor
    needed: Tensor

    @property
    def size(self) -> int:
        """How many there are."""
        return self.atoms.numel()

    def need(self, units: Tensor) -> None:
        """Note that somebody reads these units, (unit,) `torch.bool`."""
        self.needed |= units


class Atoms:
    """Everything that can be removed, numbered, with what must go together joined."""

    def __init__(self) -> None:
        self._count = 0
        self._joined: list[tuple[Tensor, Tensor]] = []
        self._kept: list[Tensor] = []

    def new(self, count: int) -> Tensor:
        """Return so many fresh atoms."""
        self._count += count
        return torch.arange(self._count - count, self._count)

    def join(self, first: Tensor, second: Tensor) -> None:
        """Let entry i of one stay or go with entry i of the other from now on."""
        assert first.shape == second.shape
        self._joined.append((first, second))

    def keep(self, atoms: Tensor) -> None:
        """Keep these."""
        self._kept.append(atoms)

    def kept(self, never_empty: list[Tensor]) -> Tensor:
        """Return whether each atom stays, (atom,).

        Args:
            never_empty: entries of which one stays at least, so that every tensor keeps a shape that layers accept; if
                all could go, the first stays.
        """
        first = torch.cat([pair[0] for pair in self._joined] or [torch.zeros(0, dtype=torch.int64)]).numpy()
        second = torch.cat([pair[1] for pair in self._joined] or [torch.zeros(0, dtype=torch.int64)]).numpy()
        links = scipy.sparse.coo_array(
            (np.ones(len(first), dtype=bool), (first, second)), shape=(self._count, self._count)
        )
        group = torch.from_numpy(scipy.sparse.csgraph.connected_components(links, directed=False)[1].astype(np.int64))
        stays = torch.zeros(self._count, dtype=torch.bool)  # by group
        for atoms in self._kept:
            stays[group[atoms]] = True
        for atoms in never_empty:
            if atoms.numel() and not stays[group[atoms]].any():
                stays[group[atoms[0]]] = True
        return stays[group]
