"""Jobs that measure what is there, and leave their numbers alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lth.lineage.files import json_to_bytes
from lth.lineage.nodes import Job
from lth.lineage.provenance import timed_provenance
from lth.lineage.reader import Reader
from lth.lineage.work import Hooks
from lth.training import Where

if TYPE_CHECKING:
    from lth.lineage.plan import Work


class Measuring(Job):
    """A job whose result is one document, metrics.json; each is done by itself.

    Attributes:
        format: of the document.
        engine: what computes, for provenance; `none` where no network is called.
    """

    format: ClassVar[str]
    engine: ClassVar[str] = "torch"

    @classmethod
    def run(cls, works: Sequence["Work"], reader: Reader, where: Where, hooks: Hooks) -> None:
        device = "cpu" if cls.engine == "none" else where.device
        for work in works:
            job = work.job
            assert isinstance(job, cls)
            with timed_provenance(cls.engine, device) as provenance:
                document = job.measure(reader, where, hooks)
            content = json_to_bytes({"format": cls.format} | document)
            reader.store.commit(job, {"metrics.json": content}, provenance)
            if hooks.is_ours(job.key):
                reader.store.finish_work(job.key)

    def measure(self, reader: Reader, where: Where, hooks: Hooks) -> dict[str, Any]:
        """Return the document but for its format.

        Raises:
            Interrupted: if asked to stop.
        """
        raise NotImplementedError
