"""What masks prune."""

from pydantic import field_validator

from lth.lineage.kinds.dense import Dense
from lth.lineage.nodes import MasksNode
from lth.lineage.reader import Reader
from lth.sparsity import Masks
from lth.sparsity.merge import complement


class Complement(MasksNode):
    """Masks that keep exactly what others prune."""

    masks: MasksNode

    @field_validator("masks")
    @classmethod
    def _prunes_something(cls, masks: MasksNode) -> MasksNode:
        if isinstance(masks, Dense):
            raise ValueError("dense masks prune nothing: their complement would be an empty network")
        return masks

    @property
    def planned_density(self) -> float | None:
        kept = self.masks.planned_density
        return None if kept is None else 1 - kept

    def derive(self, reader: Reader) -> Masks:
        return complement(reader.masks(self.masks))

    def words(self) -> str:
        return f"what the masks {self.masks.key[:8]} prune"
