"""Run jobs in several processes that train one network together, as `torchrun` and `srun` start them."""

from collections.abc import Sequence
from dataclasses import replace

from lth.lineage.executors.executor import one_thread
from lth.lineage.executors.here import Here
from lth.lineage.nodes import Job, from_documents, to_documents
from lth.lineage.plan import Work
from lth.lineage.reader import Reader
from lth.lineage.work import Hooks
from lth.training import Interrupted, Where


class FirstRank(Here):
    """Tells the other ranks of every job that is shared, and does it with them; other jobs it does alone."""

    def submit(self, works: Sequence[Work], engine: str) -> None:
        if works[0].job.shared:
            told = [(to_documents(work.job), work.key, work.checkpoints, work.finish) for work in works]
            self._where.ranks.agree((told, engine, self._hooks.is_forced))
        super().submit(works, engine)

    def __exit__(self, *raised: object) -> None:
        if raised[0] in (None, Interrupted):  # after any other error the ranks are not at one point
            self._where.ranks.agree(None)
        super().__exit__()


def follow(reader: Reader, where: Where) -> None:
    """Take part in the jobs that the first rank tells of, until it ends; nothing is written.

    Args:
        reader: the same store and live objects as the first rank's.
        where: device and ranks.
    """
    with one_thread():
        while (message := where.ranks.agree(None)) is not None:
            told, engine, is_forced = message
            works = []
            for documents, key, checkpoints, finish in told:
                job = from_documents(documents)[key]
                assert isinstance(job, Job)
                works.append(Work(job, checkpoints, finish, frozenset()))
            try:
                type(works[0].job).run(works, reader, replace(where, engine=engine), Hooks(is_forced=is_forced))
            except Interrupted:
                continue
