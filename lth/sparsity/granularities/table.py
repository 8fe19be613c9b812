"""Granularities: what goes as one. Single weights, whole units of the network, blocks, or N of every M."""

import re
from dataclasses import dataclass, field

from lth.config.choices import Table, check_choice
from lth.sparsity.granularities.families import (
    Families,
    Family,
    blocks,
    channels,
    filters,
    heads,
    input_units,
    neurons,
    output_units,
)
from lth.sparsity.granularities.structure import Structure
from lth.sparsity.types import Shapes
from lth.sparsity.words import first_paragraph


@dataclass(frozen=True, slots=True)
class Granularity:
    """How weights fall into units that live and die together.

    Attributes:
        name: as the user writes it.
        families: cuts the tensors of a network into units; None for single weights.
        pattern: (N, M) if N of every M consecutive weights stay, else None.
        words: what it does; by default the first paragraph of the docstring of `families`.
    """

    name: str
    families: Families | None = field(default=None, compare=False, repr=False)
    pattern: tuple[int, int] | None = None
    words: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.words and self.families is not None:
            object.__setattr__(self, "words", first_paragraph(self.families))


unstructured = Granularity("unstructured", words="Take single weights.")

GRANULARITIES: Table[Granularity | Families] = Table(
    "granularity",
    {
        "unstructured": unstructured,
        "output_units": Granularity("output_units", output_units),
        "input_units": Granularity("input_units", input_units),
        "filters": Granularity("filters", filters),
        "channels": Granularity("channels", channels),
        "heads": Granularity("heads", heads),
        "neurons": Granularity("neurons", neurons),
    },
)
"""The granularities with a fixed name; `granularity` reads two more kinds, `block:RxC` and `N:M`."""


def granularity(name: str) -> Granularity:
    """Return the granularity of this name; a bare function in the table cuts tensors into families.

    Args:
        name: an entry of GRANULARITIES; `block:RxC` for blocks of R outputs by C inputs; or `N:M` for N of every M
            consecutive weights along the input axis, such as `2:4`.
    Raises:
        ValueError: if the name is none of these, or its numbers make no sense.

    Example:
        >>> granularity("block:4x8").name, granularity("2:4").pattern
        ('block:4x8', (2, 4))
    """
    if block := re.fullmatch(r"block:(\d+)x(\d+)", name):
        num_outputs, num_inputs = int(block[1]), int(block[2])
        if num_outputs < 1 or num_inputs < 1:
            raise ValueError(f"granularity {name!r} has empty blocks: give numbers from 1, such as block:4x4")
        return Granularity(f"block:{num_outputs}x{num_inputs}", blocks(num_outputs, num_inputs))
    if ratio := re.fullmatch(r"(\d+):(\d+)", name):
        kept, group = int(ratio[1]), int(ratio[2])
        if not 1 <= kept < group:
            raise ValueError(f"granularity {name!r} keeps {kept} of every {group}: N:M needs 1 <= N < M, such as 2:4")
        return Granularity(f"{kept}:{group}", pattern=(kept, group))
    if name in GRANULARITIES:
        entry = GRANULARITIES[name]
        return entry if isinstance(entry, Granularity) else Granularity(name, entry)
    check_choice("granularity", name, [*GRANULARITIES, "block:RxC (as block:4x4)", "N:M (as 2:4)"])
    raise ValueError(f"granularity {name!r} stands for a pattern: put numbers in, as block:4x4 or 2:4")


def families_of(granularity: Granularity, shapes: Shapes, structure: Structure) -> list[Family]:
    """Return the families that a granularity of units cuts these tensors into, in the order of the network.

    Raises:
        ValueError: if the network has nothing of the kind.
    """
    assert granularity.families is not None
    families = granularity.families(shapes, structure)
    if not families:
        raise ValueError(
            f"granularity {granularity.name!r} finds nothing of its kind among the prunable tensors: "
            f"{', '.join(shapes) or 'none'}. Prune other tensors, or choose another granularity, such as unstructured"
        )
    return families
