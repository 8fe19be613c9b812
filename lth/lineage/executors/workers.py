"""Run jobs in one-thread worker processes: on a CPU faster than one process with many threads."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

import cloudpickle

from lth.config.stopping import BY_SCHEDULER
from lth.lineage.executors.executor import OnReport, Report
from lth.lineage.nodes import to_documents
from lth.lineage.plan import Work
from lth.lineage.sources import Sources
from lth.lineage.tables import own_entries

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

WORKER = f"""
import signal
for number in {[int(each) for each in BY_SCHEDULER]}:
    signal.signal(number, signal.SIG_IGN)
import runpy
runpy.run_module("lth.lineage.executors.worker", run_name="__main__")
"""
"""What a worker process runs. Schedulers signal every process of a job: what started this one says what to do."""

IN_WORKER = "LTH_IN_WORKER"
"""The environment variable by which a worker process knows that it is one."""

WORKER_BYTES = 450 * 2**20
"""Memory of a worker that has loaded its libraries and a small network; data and large networks come on top."""


class WorkerDied(Exception):
    """A worker process ended without being asked to."""


@dataclass(slots=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: "Connection[Any, Any]"
    work: Work | None = None


class Workers:
    """Fresh interpreters that get model factories, data, functions and a script's own table entries by value.

    Args:
        num_workers: how many.
        store: folder of results.
        sources: the live objects.
        is_forced: whether the engine was asked for by name.
        snapshot_seconds: time between snapshots.
        micro_batch: most examples of one pass.
        on_report: takes reports.
        token: of the process that holds the leases.
        prompt: text that language models go on from at evaluations; None draws no text.
    Raises:
        WorkerDied: if one cannot start.
    """

    def __init__(
        self,
        num_workers: int,
        store: Path,
        sources: Sources,
        is_forced: bool,
        snapshot_seconds: float,
        micro_batch: int | None,
        on_report: OnReport,
        token: str,
        prompt: str | None = None,
    ) -> None:
        self._report = on_report
        settings = {
            "store": str(store.resolve()),
            "is_forced": is_forced,
            "snapshot_seconds": snapshot_seconds,
            "micro_batch": micro_batch,
            "prompt": prompt,
            "token": token,
            "entries": own_entries(),
            "sources": sources,
        }
        payload = cloudpickle.dumps(settings)
        self._workers: list[_Worker] = []
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1") | {IN_WORKER: "1"}
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        try:
            for _ in range(num_workers):
                ours, theirs = Pipe()
                command = [sys.executable, "-c", WORKER, str(theirs.fileno())]
                # A session of their own: Ctrl-C in a terminal reaches this process alone, which asks them to stop.
                process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], start_new_session=True)
                theirs.close()  # so that the end of the worker is the end of the pipe
                self._workers.append(_Worker(process, ours))
            for worker in self._workers:
                worker.connection.send_bytes(payload)
        except OSError as error:
            self.__exit__()
            raise WorkerDied(f"a worker process could not start ({error}): see above, and `lth doctor`") from error

    def __enter__(self) -> Self:
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

    def room(self) -> int:
        return int(any(worker.work is None for worker in self._workers))

    def submit(self, works: Sequence[Work], engine: str) -> None:
        (work,) = works
        worker = next(worker for worker in self._workers if worker.work is None)
        worker.work = work
        worker.connection.send((to_documents(work.job), work.key, work.checkpoints, work.finish, engine))

    def wait(self, timeout: float) -> None:
        """Take in reports.

        Raises:
            WorkerDied: if a worker is gone.
        """
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), timeout):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                report: Report = worker.connection.recv()
            except (EOFError, OSError) as error:
                code = worker.process.wait()
                raise WorkerDied(
                    f"a worker process ended unexpectedly (exit code {code}; -9 often means that memory ran out: try "
                    "fewer --workers). Finished work and snapshots are kept: run the same command again to go on"
                ) from error
            if report.is_last:
                worker.work = None
            self._report(report)

    def stop(self) -> None:
        for worker in self._workers:
            if worker.work is not None:
                worker.connection.send("stop")
        while any(worker.work is not None for worker in self._workers):
            self.wait(timeout=60.0)


def workers_that_fit(asked: int, bytes_each: int) -> int:
    """Return how many workers the free memory carries, at least one and at most as many as asked for.

    Args:
        asked: how many are wanted.
        bytes_each: what data and networks take in each, beyond libraries.
    """
    available = free_memory()
    return asked if available is None else max(1, min(asked, int(0.9 * available) // (WORKER_BYTES + bytes_each)))


def free_memory() -> int | None:
    """Return the bytes that this process and its children may still take; None where that is not known."""
    limits = []
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        limits.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        pass
    try:  # a container's share
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        limits.append(limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return min(limits) if limits else None
