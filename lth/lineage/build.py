"""Make it so: does what a plan says, side by side, sharing the store with any other process that does the same."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from joblib import cpu_count

from lth.data import Split
from lth.lineage.derive import Deriver, Sources
from lth.lineage.execute import execute
from lth.lineage.lease import Leases
from lth.lineage.nodes import DataSpec, Trained
from lth.lineage.plan import Plan, Work, plan
from lth.lineage.pool import Pool, Report
from lth.lineage.store import Store
from lth.training import Interrupted

WAIT_SECONDS = 1.0
"""How often the store is looked at again while another process builds what we need."""


class BuildError(Exception):
    """A training could not be done; the message says why and what to do."""

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


@dataclass(frozen=True, slots=True)
class Execution:
    """Where and how trainings run; no result depends on it beyond rounding.

    Attributes:
        device: `cpu` or a CUDA device.
        workers: one-thread worker processes on a CPU, by default one a core; 0 trains in this process, in one thread.
        population: members stacked in one program, where trainings run in this process.
        snapshot_seconds: time between snapshots: what a killed process can lose.
    """

    device: str = "cpu"
    workers: int = field(default_factory=lambda: cpu_count(only_physical_cores=True))
    population: int = 1
    snapshot_seconds: float = 10.0


class Observer(Protocol):
    """Who is told how a build goes."""

    def planned(self, plan: Plan) -> None:
        """What there is to do."""

    def started(self, key: str) -> None:
        """A training begins."""

    def progress(self, key: str, step: int, accuracy: float | None) -> None:
        """Where a training is, and its last validation accuracy."""

    def finished(self, key: str) -> None:
        """A training is done, here or by another process."""

    def skipped(self, key: str, reason: str) -> None:
        """A training cannot be done because one that it stands on diverged."""

    def waiting(self, keys: Sequence[str]) -> None:
        """Another process builds these; we wait for it."""


class Unobserved:
    """Tells nobody."""

    def planned(self, plan: Plan) -> None: ...
    def started(self, key: str) -> None: ...
    def progress(self, key: str, step: int, accuracy: float | None) -> None: ...
    def finished(self, key: str) -> None: ...
    def skipped(self, key: str, reason: str) -> None: ...
    def waiting(self, keys: Sequence[str]) -> None: ...


def build(
    targets: Sequence[Trained],
    store: Store,
    sources: Sources,
    execution: Execution | None = None,
    observer: Observer | None = None,
) -> dict[str, str]:
    """Trains what the targets need and the store lacks.

    Returns:
        For each target that could not be built because a training before it diverged: its key and the reason.
    Raises:
        Interrupted: after Ctrl-C; snapshots are saved.
        BuildError: if a training fails; what was finished stays.
        StoreError: if the store cannot be written.
    """
    execution, observer = execution or Execution(), observer or Unobserved()
    todo = plan(targets, store)
    observer.planned(todo)
    if todo.works:
        store.check_writable()
    with Leases() as leases, _interruptible() as is_interrupted:
        agenda = _Agenda(todo, store, leases, observer)
        if execution.device == "cpu" and execution.workers > 0:
            _build_in_workers(agenda, sources, execution, is_interrupted)
        else:
            _build_here(agenda, sources, execution, is_interrupted)
    return agenda.skipped


class _Agenda:
    """What is left to do, what runs, and what cannot be done."""

    def __init__(self, todo: Plan, store: Store, leases: Leases, observer: Observer) -> None:
        self.store, self.leases, self.observer = store, leases, observer
        self.pending = {work.key: work for work in todo.works}
        self.running: dict[str, Work] = {}
        self.skipped: dict[str, str] = {}
        self._diverged = {node.key: where for node in todo.done if (where := self._diverged_at(node)) is not None}

    @property
    def is_empty(self) -> bool:
        return not self.pending and not self.running

    def claim(self) -> Iterator[Work]:
        """Works that can start now; each is ours (leased) once it is yielded."""
        for key, work in list(self.pending.items()):
            broken = work.needs & self._diverged.keys()
            if broken:
                step = self._diverged[next(iter(broken))]
                self._drop(key, f"the training before it diverged at step {step}")
            elif not work.needs & (self.pending.keys() | self.running.keys()):
                if self._is_done(work):
                    self._finish(self.pending.pop(key))
                elif self.leases.acquire(self.store.work_folder(key)):
                    if self._is_done(work):  # by another process, between the look and the lease
                        self.store.finish_work(key)
                        self._finish(self.pending.pop(key))
                        continue
                    self.running[key] = self.pending.pop(key)
                    self.observer.started(key)
                    yield work

    def finish(self, key: str) -> None:
        """A running work is done."""
        self._finish(self.running.pop(key))

    def release(self, key: str) -> None:
        """A running work was stopped."""
        self.leases.release(self.store.work_folder(key))
        self.running.pop(key)

    def wait_for_others(self) -> None:
        """Nothing can start here and nothing runs: another process has what we need."""
        self.observer.waiting(list(self.pending))
        time.sleep(WAIT_SECONDS)

    def _finish(self, work: Work) -> None:
        self.leases.release(self.store.work_folder(work.key))
        if (step := self._diverged_at(work.trained)) is not None:
            self._diverged[work.key] = step
        self.observer.finished(work.key)

    def _drop(self, key: str, reason: str) -> None:
        del self.pending[key]
        self.skipped[key] = reason
        self.observer.skipped(key, reason)

    def _is_done(self, work: Work) -> bool:
        checkpoints = [work.trained.at(step) for step in work.checkpoints]
        return all(map(self.store.has, checkpoints)) and (not work.finish or self.store.has(work.trained))

    def _diverged_at(self, node: Trained) -> int | None:
        return self.store.read_metrics(node)["diverged_at"] if self.store.has(node) else None


def _build_in_workers(
    agenda: _Agenda, sources: Sources, execution: Execution, is_interrupted: Callable[[], bool]
) -> None:
    if agenda.is_empty:
        return
    num_workers = min(execution.workers, len(agenda.pending))
    with Pool(num_workers, agenda.store.root, sources, execution.snapshot_seconds) as pool:
        while not agenda.is_empty:
            if is_interrupted():
                pool.stop()
                raise Interrupted
            if pool.num_idle:
                for work in agenda.claim():
                    pool.submit(work)
                    if not pool.num_idle:
                        break
            if agenda.running:
                for report in pool.reports(timeout=0.2):
                    _handle(report, agenda)
            elif agenda.pending:
                agenda.wait_for_others()


def _handle(report: Report, agenda: _Agenda) -> None:
    match report.what:
        case "progress":
            agenda.observer.progress(report.key, report.step, report.accuracy)
        case "done":
            agenda.finish(report.key)
        case "stopped":
            agenda.release(report.key)
        case "failed":
            raise BuildError(f"a training failed: {report.text}. Run again with --debug to see where", report.traceback)
        case _:
            raise BuildError(report.text, report.traceback)


def _build_here(agenda: _Agenda, sources: Sources, execution: Execution, is_interrupted: Callable[[], bool]) -> None:
    deriver, splits = Deriver(agenda.store, sources), dict[DataSpec, Split]()

    def progress(key: str, step: int, history: object) -> None:
        accuracies = getattr(history, "validation_accuracy", None)
        agenda.observer.progress(key, step, accuracies[-1] if accuracies else None)

    with one_thread() if execution.device == "cpu" else contextlib.nullcontext():
        while not agenda.is_empty:
            wave = _first_wave(agenda, execution.population)
            if not wave:
                if agenda.pending:
                    agenda.wait_for_others()
                continue
            try:
                execute(
                    wave,
                    deriver,
                    splits,
                    device=execution.device,
                    snapshot_seconds=execution.snapshot_seconds,
                    progress=progress,
                    should_stop=is_interrupted,
                )
            except BaseException:
                for work in wave:
                    agenda.release(work.key)
                raise
            for work in wave:
                agenda.finish(work.key)


def _first_wave(agenda: _Agenda, population: int) -> list[Work]:
    """Works that can start now and can be stacked with the first of them; the others go back."""
    wave: list[Work] = []
    for work in agenda.claim():
        if wave and (len(wave) == population or _kind(work) != _kind(wave[0])):
            agenda.release(work.key)
            agenda.pending[work.key] = work
        else:
            wave.append(work)
    return wave


def _kind(work: Work) -> tuple[object, ...]:
    trained = work.trained
    return (
        trained.model.model_dump_json(),
        trained.data,
        trained.recipe.model_dump_json(),
        trained.first_step,
        work.until,
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread and flushed denormals, as in a worker process, so that the numbers are the same."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed; a second Ctrl-C ends at once."""
    pressed = threading.Event()

    def press(*_: object) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    previous = signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, previous)
