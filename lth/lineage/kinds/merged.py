"""Masks put together from several."""

from pydantic import Field, field_validator

from lth.lineage.nodes import MasksNode
from lth.lineage.reader import Reader
from lth.sparsity import Masks
from lth.sparsity.merge import MERGES, merged


class Merged(MasksNode):
    """The union, intersection, majority or difference (the first without all others) of several masks."""

    masks: tuple[MasksNode, ...] = Field(min_length=2)
    rule: str = "union"

    @field_validator("rule")
    @classmethod
    def _is_known(cls, rule: str) -> str:
        MERGES.pick(rule)
        return rule

    def derive(self, reader: Reader) -> Masks:
        return merged([reader.masks(each) for each in self.masks], self.rule)

    def words(self) -> str:
        return f"{self.rule} of the masks {', '.join(each.key[:8] for each in self.masks)}"
