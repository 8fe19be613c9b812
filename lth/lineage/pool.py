"""The pool: one-thread worker processes, one network each: on a CPU faster than one process with many threads."""

import os
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import cloudpickle

from lth.lineage.derive import Sources
from lth.lineage.nodes import to_documents
from lth.lineage.plan import Work
from lth.sparsity import CRITERIA

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerDied(Exception):
    """A worker process ended without being asked to."""


@dataclass(slots=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: "Connection[Any, Any]"
    work: Work | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says of a piece of work.

    `what` is one of progress, done, stopped, diverged (its parent did), refused (an error with a message for users),
    failed.
    """

    what: str
    key: str
    step: int = 0
    accuracy: float | None = None
    text: str = ""
    traceback: str = ""


class Pool:
    """Fresh interpreters that get model factory, data and the user's own criteria by value.

    So scripts and notebooks need no main guard.
    """

    def __init__(
        self, num_workers: int, store: Path, sources: Sources, *, is_forced: bool, snapshot_seconds: float
    ) -> None:
        settings = {
            "store": str(store.resolve()),
            "sources": sources,
            "is_forced": is_forced,
            "snapshot_seconds": snapshot_seconds,
            "criteria": {name: each for name, each in CRITERIA.items() if not each.__module__.startswith("lth.")},
        }
        payload = cloudpickle.dumps(settings)
        self._workers: list[_Worker] = []
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        try:
            for _ in range(num_workers):
                ours, theirs = Pipe()
                command = [sys.executable, "-m", "lth.lineage.worker", str(theirs.fileno())]
                # A session of their own: Ctrl-C in a terminal reaches this process alone, which asks them to stop.
                process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], start_new_session=True)
                theirs.close()  # so that the end of the worker is the end of the pipe
                self._workers.append(_Worker(process, ours))
            for worker in self._workers:
                worker.connection.send_bytes(payload)
        except OSError as error:
            self.__exit__()
            raise WorkerDied(f"a worker process could not start ({error}): see above, and `lth doctor`") from error

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            try:
                worker.connection.send(None)
                worker.connection.close()
            except OSError:
                pass
        for worker in self._workers:
            try:
                worker.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()

    @property
    def num_idle(self) -> int:
        """Workers without work."""
        return sum(worker.work is None for worker in self._workers)

    @property
    def size(self) -> int:
        """Workers in all."""
        return len(self._workers)

    def submit(self, work: Work, engine: str) -> None:
        """Gives a piece of work to an idle worker, and says with which engine."""
        worker = next(worker for worker in self._workers if worker.work is None)
        worker.work = work
        worker.connection.send((to_documents(work.trained), work.key, work.checkpoints, work.finish, engine))

    def reports(self, timeout: float) -> list[Report]:
        """What workers have said; waits up to `timeout` seconds for the first word.

        Raises:
            WorkerDied: if a worker is gone.
        """
        by_connection = {worker.connection: worker for worker in self._workers}
        found = []
        for connection in wait(list(by_connection), timeout):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                what, key, *rest = worker.connection.recv()
            except (EOFError, OSError) as error:
                code = worker.process.wait()
                raise WorkerDied(
                    f"a worker process ended unexpectedly (exit code {code}; -9 often means that memory ran "
                    f"out: try fewer "
                    "--workers). Finished work and snapshots are kept: run the same command again to go on"
                ) from error
            if what == "progress":
                found.append(Report(what, key, step=rest[0], accuracy=rest[1]))
            else:
                worker.work = None
                found.append(Report(what, key, text=rest[0], traceback=rest[1]))
        return found

    def stop(self) -> None:
        """Asks busy workers to save a snapshot and stop what they do, and waits for them."""
        for worker in self._workers:
            if worker.work is not None:
                worker.connection.send("stop")
        while self.num_idle < self.size:
            self.reports(timeout=60.0)
