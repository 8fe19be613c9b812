"""Run jobs in several processes that train one network together, as `torchrun` and `srun` start them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lth.lineage.executors.executor import one_thread
from lth.lineage.executors.here import Here
from lth.lineage.executors.workers import WorkerDied
from lth.lineage.nodes import Job, from_documents, to_documents
from lth.lineage.plan import Work
from lth.lineage.reader import Reader
from lth.lineage.work import Hooks
from lth.training import Interrupted, Unstackable, Where

END: Any = ((), "", False)
"""What the first rank says when there is nothing more to do."""


class FirstRank(Here):
    """Tells the other ranks of every job that is shared, and does it with them; other jobs it does alone."""

    def submit(self, works: Sequence[Work], engine: str) -> None:
        if works[0].job.shared:
            works_told = [(to_documents(work.job), work.key, work.checkpoints, work.finish) for work in works]
            self._where.ranks.broadcast((works_told, engine, self._hooks.is_forced))
        super().submit(works, engine)

    def _lose(self, works: Sequence[Work]) -> None:
        """End: the other ranks wait at a step that this one does not reach.

        Raises:
            WorkerDied: always; says what to do.
        """
        raise WorkerDied(
            "another process has taken over the training of these ranks, which were not heard of for too long. Its "
            "snapshots are kept: run the same command again to wait for it, or to go on where it stops"
        )

    def __exit__(self, *raised: object) -> None:
        if raised[0] in (None, Interrupted):  # after any other error the ranks are not at one point
            self._where.ranks.broadcast(END)
        super().__exit__()


def follow(reader: Reader, where: Where, should_stop: Callable[[], bool] = lambda: False) -> bool:
    """Take part in the jobs that the first rank tells of, until it ends; nothing is written.

    Args:
        reader: the same store and live objects as the first rank's.
        where: device and ranks.
        should_stop: whether this process was asked to stop: all then save and stop.
    Returns:
        Whether it ended without an interruption.
    """
    was_interrupted = False
    with one_thread():
        while (message := where.ranks.broadcast(END)) != END:
            works_told, engine, is_forced = message
            works = []
            for documents, key, checkpoints, finish in works_told:
                job = from_documents(documents)[key]
                assert isinstance(job, Job)
                works.append(Work(job, checkpoints, finish, frozenset()))
            hooks = Hooks(should_stop=should_stop, is_forced=is_forced)
            try:
                type(works[0].job).run(works, reader, replace(where, engine=engine), hooks)
            except Interrupted:
                was_interrupted = True
            except Unstackable:  # the first rank submits them one by one
                continue
    return not (was_interrupted or should_stop())
