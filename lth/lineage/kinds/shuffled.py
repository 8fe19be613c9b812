"""Random masks."""

from lth.lineage.nodes import MasksNode
from lth.lineage.reader import Reader, draws
from lth.sparsity import Masks, shuffle_within_tensors


class Shuffled(MasksNode):
    """Random masks with the density of each tensor of `masks`; which ones follows from the key: `draw` gives others."""

    masks: MasksNode
    draw: int = 0

    @property
    def planned_density(self) -> float | None:
        return self.masks.planned_density

    def derive(self, reader: Reader) -> Masks:
        return shuffle_within_tensors(reader.masks(self.masks), draws(self))

    def words(self) -> str:
        draw = f", draw {self.draw}" if self.draw else ""
        return f"the masks {self.masks.key[:8]} shuffled within each tensor{draw}"
