"""How alike two masks are, beside what unrelated masks of the same densities would give."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lth.lineage.files import json_to_bytes
from lth.lineage.nodes import Job, MasksNode
from lth.lineage.provenance import timed_provenance
from lth.lineage.reader import Measured, Reader
from lth.lineage.work import Hooks
from lth.sparsity.metrics import overlap_by_tensor, pooled
from lth.training import Where

if TYPE_CHECKING:
    from lth.lineage.plan import Work

FORMAT = "lth.overlap/1"


class Overlapped(Job):
    """The overlap of two sets of masks of one architecture, over all and by tensor.

    Measured are two items: `overlap` (intersection over union), and the same of unrelated masks with the same densities
    in every tensor; each also by tensor, as `overlap/NAME`.
    """

    first: MasksNode
    second: MasksNode

    @classmethod
    def run(cls, works: Sequence["Work"], reader: Reader, where: Where, hooks: Hooks) -> None:
        for work in works:
            job = work.job
            assert isinstance(job, cls)
            with timed_provenance("none", "cpu") as provenance:
                by_tensor = overlap_by_tensor(reader.masks(job.first), reader.masks(job.second))
                found = {"": pooled(by_tensor.values())} | {f"/{name}": each for name, each in by_tensor.items()}
                items = [
                    {f"overlap{suffix}": each.iou for suffix, each in found.items()},
                    {f"overlap{suffix}": each.chance_iou for suffix, each in found.items()},
                ]
            reader.store.commit(job, {"metrics.json": json_to_bytes({"format": FORMAT, "items": items})}, provenance)
            reader.store.finish_work(job.key)

    def measured(self, document: dict[str, Any]) -> list[Measured]:
        return [Measured(end=item, steps=self.steps) for item in document["items"]]

    def words(self) -> str:
        return f"the overlap of the masks {self.first.key[:8]} and {self.second.key[:8]}"
