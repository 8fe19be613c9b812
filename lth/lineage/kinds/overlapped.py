"""How alike two masks are, beside what unrelated masks of the same densities would give."""

from typing import Any, ClassVar

from lth.lineage.measuring import Measuring
from lth.lineage.nodes import MasksNode
from lth.lineage.reader import Measured, Reader
from lth.lineage.work import Hooks
from lth.sparsity.metrics import overlap_by_tensor, pooled
from lth.training import Where


class Overlapped(Measuring):
    """The overlap of two sets of masks of one architecture, over all and by tensor.

    Measured are two items: `overlap` (intersection over union), and the same of unrelated masks with the same densities
    in every tensor; each also by tensor, as `overlap/NAME`.
    """

    format: ClassVar[str] = "lth.overlap/1"
    engine: ClassVar[str] = "none"

    first: MasksNode
    second: MasksNode

    def measure(self, reader: Reader, where: Where, hooks: Hooks) -> dict[str, Any]:
        by_tensor = overlap_by_tensor(reader.masks(self.first), reader.masks(self.second))
        found = {"": pooled(by_tensor.values())} | {f"/{name}": each for name, each in by_tensor.items()}
        items = [
            {f"overlap{suffix}": each.iou for suffix, each in found.items()},
            {f"overlap{suffix}": each.chance_iou for suffix, each in found.items()},
        ]
        return {"items": items}

    def measured(self, document: dict[str, Any]) -> list[Measured]:
        return [Measured(end=item, steps=self.steps) for item in document["items"]]

    def words(self) -> str:
        return f"the overlap of the masks {self.first.key[:8]} and {self.second.key[:8]}"
