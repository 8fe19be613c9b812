"""Make it so: does what a plan says, side by side, sharing the store with any other process that does the same."""

import contextlib
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from joblib import cpu_count

from lth.data import Split
from lth.lineage.agenda import Agenda, Observer, Unobserved
from lth.lineage.derive import Deriver, Sources
from lth.lineage.engines import engine_choices
from lth.lineage.execute import execute
from lth.lineage.lease import Leases
from lth.lineage.nodes import DataSpec, Trained
from lth.lineage.plan import Work, plan
from lth.lineage.pool import Pool, Report
from lth.lineage.stacks import Stacks
from lth.lineage.store import Store
from lth.training import Interrupted, release_memory
from lth.training.engines.choose import EngineChoice


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
        population: most members stacked in one program, where trainings run in this process; None: as many as fit on
            a GPU, by measurement, and one on a CPU.
        snapshot_seconds: time between snapshots: what a killed process can lose.
        engine: `torch`; `sparse`, for multilayer perceptrons on a CPU; `auto`, the sparse one where it can and was
            measured to be faster, else torch. With `auto`, a training goes on with the engine that began it.
    """

    device: str = "cpu"
    workers: int = field(default_factory=lambda: cpu_count(only_physical_cores=True))
    population: int | None = 1
    snapshot_seconds: float = 10.0
    engine: str = "auto"

    @property
    def in_workers(self) -> bool:
        """Whether trainings run in worker processes."""
        return self.device == "cpu" and self.workers > 0

    def choices(self, trainings: Iterable[Trained], sources: Sources) -> dict[str, EngineChoice]:
        """The engine of each training where none has begun yet, and why, by its key.

        Raises:
            ValueError: if the engine is unknown, or cannot train one of them.
        """
        size = 1 if self.in_workers or self.population is None else self.population
        return engine_choices(trainings, sources, engine=self.engine, device=self.device, population=size)


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
        ValueError: if the engine cannot train one of them; nothing is started then.
        BuildError: if a training fails; what was finished stays.
        StoreError: if the store cannot be written.
    """
    execution, observer = execution or Execution(), observer or Unobserved()
    todo = plan(targets, store)
    choices = execution.choices((work.trained for work in todo.works), sources)
    observer.planned(todo)
    if todo.works:
        store.check_writable()
    with Leases() as leases, _interruptible() as is_interrupted:
        agenda = Agenda(todo, store, leases, observer)
        if execution.in_workers:
            _build_in_workers(agenda, sources, execution, choices, is_interrupted)
        else:
            _build_here(agenda, sources, execution, choices, is_interrupted)
    return agenda.skipped


def _announcer(choices: dict[str, EngineChoice], observer: Observer) -> Callable[[Work], None]:
    """To be told of each training that starts; says of the first one which waits for the compiler that it does."""
    is_first = True

    def announce(work: Work) -> None:
        nonlocal is_first
        if is_first and choices[work.key].name == "sparse":
            is_first = False
            from lth.training.engines.sparse.steps import is_compiled  # loads numba

            if not is_compiled():
                observer.noted("the sparse engine is compiled for this processor: ten seconds to a minute, once")

    return announce


def _build_in_workers(
    agenda: Agenda,
    sources: Sources,
    execution: Execution,
    choices: dict[str, EngineChoice],
    is_interrupted: Callable[[], bool],
) -> None:
    if agenda.is_empty:
        return
    num_workers, announce = min(execution.workers, len(agenda.pending)), _announcer(choices, agenda.observer)
    with Pool(
        num_workers,
        agenda.store.root,
        sources,
        is_forced=execution.engine != "auto",
        snapshot_seconds=execution.snapshot_seconds,
    ) as pool:
        while not agenda.is_empty:
            if is_interrupted():
                agenda.observer.noted("stopping: snapshots are saved (Ctrl-C again ends at once)")
                pool.stop()
                raise Interrupted
            if pool.num_idle:
                for work in agenda.claim():
                    announce(work)
                    pool.submit(work, choices[work.key].name)
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


def _build_here(
    agenda: Agenda,
    sources: Sources,
    execution: Execution,
    choices: dict[str, EngineChoice],
    is_interrupted: Callable[[], bool],
) -> None:
    deriver, splits = Deriver(agenda.store, sources), dict[DataSpec, Split]()
    announce = _announcer(choices, agenda.observer)

    def progress(key: str, step: int, history: object) -> None:
        accuracies = getattr(history, "validation_accuracy", None)
        agenda.observer.progress(key, step, accuracies[-1] if accuracies else None)

    def train(stack: list[Work], from_larger_stack: bool) -> None:
        announce(stack[0])
        execute(
            stack,
            deriver,
            splits,
            engine=choices[stack[0].key].name,
            is_forced=execution.engine != "auto",
            device=execution.device,
            snapshot_seconds=execution.snapshot_seconds,
            progress=progress,
            should_stop=is_interrupted,
            from_larger_stack=from_larger_stack,
        )

    stacks = Stacks(execution.population, torch.device(execution.device), deriver, splits)
    with one_thread() if execution.device == "cpu" else contextlib.nullcontext():
        while not agenda.is_empty:
            wave = _first_wave(agenda, stacks)
            if not wave:
                if agenda.pending:
                    agenda.wait_for_others()
                continue
            try:
                if len(wave) > 1:
                    for work in wave[stacks.measure(wave[0]) :]:
                        agenda.put_back(work.key)
                _train_in_stacks([work for work in wave if work.key in agenda.running], agenda, stacks, train)
            except BaseException:
                for work in wave:
                    if work.key in agenda.running:
                        agenda.release(work.key)
                raise


def _train_in_stacks(
    wave: list[Work], agenda: Agenda, stacks: Stacks, train: Callable[[list[Work], bool], None]
) -> None:
    """Trains a wave side by side; in halves where memory does not suffice, which go on from the snapshots there are."""
    was_halved = False
    while wave:
        stack = wave[: stacks.limit(wave[0])]
        try:
            train(stack, was_halved)
        except torch.OutOfMemoryError as error:
            if len(stack) == 1:
                raise BuildError(
                    f"one network alone does not fit into the memory of the device ({str(error).splitlines()[0]}). "
                    "Take a smaller batch, precision bfloat16, or device cpu"
                ) from error
        else:
            for work in stack:
                agenda.finish(work.key)
            del wave[: len(stack)]
            continue
        # Out of the handler, whose traceback held the tensors.
        release_memory()
        was_halved, limit = True, stacks.halve(stack[0], len(stack))
        wave = [agenda.renew(work.key) for work in wave]
        warnings.warn(
            f"{len(stack)} networks at once did not fit into memory: going on with {limit} at once", stacklevel=2
        )


def _first_wave(agenda: Agenda, stacks: Stacks) -> list[Work]:
    """Works that can start now and can be stacked with the first of them; the others go back."""
    wave: list[Work] = []
    for work in agenda.claim():
        if wave and _kind(work) != _kind(wave[0]):
            agenda.put_back(work.key)
        else:
            wave.append(work)
        if len(wave) == stacks.limit(wave[0]):
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
