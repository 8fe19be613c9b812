"""Make it so: does what a plan says, side by side, sharing the store with any other process that does the same."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from joblib import cpu_count

from lth.data import Split
from lth.lineage.agenda import Agenda, Observer, Unobserved
from lth.lineage.derive import Deriver, Sources
from lth.lineage.execute import execute
from lth.lineage.lease import Leases
from lth.lineage.nodes import DataSpec, Trained
from lth.lineage.plan import Work, plan
from lth.lineage.pool import Pool, Report
from lth.lineage.store import Store
from lth.training import Interrupted


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
        agenda = Agenda(todo, store, leases, observer)
        if execution.device == "cpu" and execution.workers > 0:
            _build_in_workers(agenda, sources, execution, is_interrupted)
        else:
            _build_here(agenda, sources, execution, is_interrupted)
    return agenda.skipped


def _build_in_workers(
    agenda: Agenda, sources: Sources, execution: Execution, is_interrupted: Callable[[], bool]
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


def _handle(report: Report, agenda: Agenda) -> None:
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


def _build_here(agenda: Agenda, sources: Sources, execution: Execution, is_interrupted: Callable[[], bool]) -> None:
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


def _first_wave(agenda: Agenda, population: int) -> list[Work]:
    """Works that can start now and can be stacked with the first of them; the others go back."""
    wave: list[Work] = []
    for work in agenda.claim():
        if wave and _kind(work) != _kind(wave[0]):
            agenda.put_back(work.key)
        else:
            wave.append(work)
        if len(wave) == population:
            break
    return wave


def _kind(work: Work) -> tuple[object, ...]:
    trained = work.trained
    return (
        trained.model.model_dump_json(),
        trained.data,
        trained.recipe.model_dump_json(),
        trained.first_step,
        trained.sparsifier,
        trained.traces,
        _steps_behind_moments(trained),
        work.until,
    )


def _steps_behind_moments(trained: Trained) -> int:
    """Updates that the optimizer's counters have seen before it starts: members of a stack must agree in them."""
    steps = 0
    while trained.moments is not None:
        trained = trained.moments
        steps += trained.recipe.steps - trained.first_step
    return steps


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
