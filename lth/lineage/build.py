"""Make it so: do what a plan says, side by side, sharing the store with any other process that does the same."""

import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from joblib import cpu_count

from lth.config import SettingsError
from lth.config.stopping import interruptible, stopped_by
from lth.lineage.agenda import Agenda, Observer, Unobserved
from lth.lineage.engines import engine_choices
from lth.lineage.executors import Executor, FirstRank, Here, Report, Workers
from lth.lineage.executors.ranks import END
from lth.lineage.executors.workers import WorkerDied, workers_that_fit
from lth.lineage.lease import Leases
from lth.lineage.nested import refuse_nested
from lth.lineage.nodes import Job
from lth.lineage.plan import plan
from lth.lineage.reader import Reader
from lth.lineage.sources import Sources
from lth.lineage.store import Store
from lth.training import Interrupted, Where
from lth.training.engines.choose import EngineChoice
from lth.training.ranks import ALONE, Ranks

SIGNAL_SECONDS = 0.5
"""How much later this process may hear of a signal than its workers."""

GPU_POPULATION = 8
"""Networks stacked in one program on a GPU, unless told otherwise."""


class BuildError(Exception):
    """A job could not be done; the message says why and what to do."""

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


@dataclass(frozen=True, slots=True)
class Execution:
    """Where and how jobs run; no result depends on it beyond rounding.

    Attributes:
        device: `cpu` or a CUDA device.
        workers: one-thread worker processes on a CPU, by default one per core; 0 trains in this process, in one thread.
        population: most networks stacked in one program, where jobs run in this process; by default 8 on a GPU, 1 on a
            CPU.
        snapshot_seconds: time between snapshots: what a killed process can lose; 0 saves one after every step.
        engine: an entry of ENGINES, or `auto`: the sparse one where it can and was measured to be faster, else torch.
            With `auto`, a training goes on with the engine that began it.
        compiled: whether training goes through `torch.compile`, which only the torch engine can.
        micro_batch: most examples of one pass, over which gradients add up, to save memory; of each rank's part of a
            batch. By default a batch goes at once.
        ranks: the processes that train one network together; they need the torch engine, and no workers.
        sharded: whether each of them holds its part of the parameters alone, for a network that does not fit on one
            device.
        sample: text that language models go on from at each evaluation; of networks that train together, the first. The
            observer is given what they write.
        offload: a folder: networks of `transformers` that are only measured stay there, one block at a time in memory;
            jobs then run in this process.
        energy: what measures the energy of a study's building, an entry of METERS.
        track: what is told of a study's trainings while they run, as `wandb` or `mlflow:http://127.0.0.1:5000`: entries
            of TRACKERS.
    Raises:
        SettingsError: if another engine is to be compiled, or to train over ranks; or parameters are to be shared out
            by one process, over a stack of networks, or compiled.
    """

    device: str = "cpu"
    workers: int = field(default_factory=lambda: cpu_count(only_physical_cores=True))
    population: int | None = None
    snapshot_seconds: float = 10.0
    engine: str = "auto"
    compiled: bool = False
    micro_batch: int | None = None
    ranks: Ranks = ALONE
    sharded: bool = False
    sample: str | None = None
    offload: Path | None = None
    energy: str | None = None
    track: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.sharded and (self.ranks.size == 1 or self.compiled or (self.population or 1) > 1):
            raise SettingsError(
                "--shard shares out one network over several processes, as torchrun and srun start them; found "
                f"{self.ranks.size} process{'es' * (self.ranks.size > 1)}{', --compiled' * self.compiled}"
                f"{f', --population {self.population}' if self.population else ''}"
            )
        if self.sharded and self.sample is not None:
            raise SettingsError("--sample needs the whole network, of which --shard leaves no process more than a part")
        wanted_by = "torch.compile" if self.compiled else f"{self.ranks.size} processes" if self.ranks.size > 1 else ""
        if not wanted_by:
            return
        if self.engine not in ("auto", "torch"):
            raise SettingsError(f"only the torch engine goes through {wanted_by}; found engine {self.engine!r}")
        object.__setattr__(self, "engine", "torch")

    @property
    def where(self) -> Where:
        """The same for one training in this process."""
        return Where(
            device=self.device,
            snapshot_seconds=self.snapshot_seconds,
            compiled=self.compiled,
            micro_batch=self.micro_batch,
            ranks=self.ranks,
            sharded=self.sharded,
            offload=self.offload,
        )

    @property
    def in_workers(self) -> bool:
        """Whether jobs run in worker processes."""
        return self.device == "cpu" and self.workers > 0 and self.ranks.size == 1 and self.offload is None

    @property
    def size(self) -> int:
        """Most networks in one program."""
        if self.in_workers:
            return 1
        return self.population or (1 if self.device == "cpu" or self.ranks.size > 1 else GPU_POPULATION)

    def choices(self, jobs: Iterable[Job], sources: Sources) -> dict[str, EngineChoice]:
        """Return the engine of each training where none has begun yet, and why, by its key.

        Raises:
            ValueError: if the engine is unknown, or cannot train one of them.
        """
        return engine_choices(jobs, sources, engine=self.engine, device=self.device, population=self.size)


def build(
    targets: Sequence[Job],
    store: Store,
    sources: Sources,
    execution: Execution | None = None,
    observer: Observer | None = None,
) -> dict[str, str]:
    """Do what the targets need and the store lacks.

    Returns:
        For each job that could not be done because a training before it diverged: its key and the reason.
    Raises:
        Interrupted: after Ctrl-C, or a signal of a cluster's scheduler; snapshots are saved.
        ValueError: if the engine cannot train one of them, or this is part of another build; nothing is started then.
        BuildError: if a job fails; what was finished stays.
        StoreError: if the store cannot be written.
    """
    refuse_nested()
    execution, observer = execution or Execution(), observer or Unobserved()
    todo = plan(targets, store)
    choices = execution.choices((work.job for work in todo.works), sources)
    observer.planned(todo)
    if not todo.works:
        execution.ranks.broadcast(END)  # the others need not wait
        return {}
    store.check_writable()
    with Leases() as leases, interruptible() as is_interrupted:
        agenda = Agenda(todo, store, leases, observer)
        announce = _announcer(choices, observer)
        with _executor(execution, agenda, sources, is_interrupted) as executor:
            try:
                while not agenda.is_empty:
                    if is_interrupted():
                        observer.noted(_stopping_words())
                        executor.stop()
                        raise Interrupted
                    while (room := executor.room()) and (works := agenda.claim(room)):
                        choice = choices.get(works[0].key)
                        announce(choice)
                        executor.submit(works, choice.name if choice else "auto")
                    if agenda.running:
                        _wait(executor, is_interrupted)
                    elif agenda.pending:
                        agenda.wait_for_others()
            except MemoryError as error:
                raise BuildError(str(error)) from error
            finally:
                for key in list(agenda.running):
                    agenda.release(key)
    return agenda.skipped


def _executor(execution: Execution, agenda: Agenda, sources: Sources, is_interrupted: Callable[[], bool]) -> Executor:
    is_forced = execution.engine != "auto"

    def on_report(report: Report) -> None:
        _handle(report, agenda)

    if not execution.in_workers:
        make = Here if execution.ranks.size == 1 else FirstRank
        return make(
            Reader(agenda.store, sources),
            execution.where,
            execution.size,
            is_forced,
            on_report,
            is_interrupted,
            execution.sample,
            agenda.is_ours,
        )
    asked = min(execution.workers, len(agenda.pending))
    num_workers = workers_that_fit(asked, sources.bytes_each())
    if num_workers < asked:
        agenda.observer.noted(
            f"{num_workers} worker{'s' * (num_workers != 1)} instead of {asked}: memory carries no more"
        )
    return Workers(
        num_workers,
        agenda.store.root,
        sources,
        is_forced,
        execution.snapshot_seconds,
        execution.micro_batch,
        on_report,
        agenda.leases.process.token,
        execution.sample,
    )


def _wait(executor: Executor, is_interrupted: Callable[[], bool]) -> None:
    """Take in reports; a worker that ends when all are told to stop is no failure."""
    try:
        executor.wait(timeout=0.2)
    except WorkerDied as error:
        time.sleep(SIGNAL_SECONDS)
        if is_interrupted():
            raise Interrupted from error
        raise


def _stopping_words() -> str:
    number = stopped_by()
    if number in (None, signal.SIGINT):
        return "stopping: snapshots are saved (Ctrl-C again ends at once)"
    return f"told to stop by {number.name}: snapshots are saved"


def _handle(report: Report, agenda: Agenda) -> None:
    match report.what:
        case "progress":
            agenda.observer.progress(report.key, report.step, report.values)
        case "evaluated":
            agenda.observer.evaluated(report.key, report.step, report.values)
        case "sampled":
            agenda.observer.sampled(report.key, report.step, report.text)
        case "done":
            agenda.finish(report.key)
        case "stopped":
            agenda.release(report.key)
        case "lost":
            agenda.lose(report.key)
        case "refused":
            raise BuildError(report.text, report.traceback)
        case "failed":
            raise BuildError(f"a job failed: {report.text}. Run again with --debug to see where", report.traceback)


def _announcer(choices: dict[str, EngineChoice], observer: Observer) -> Callable[[EngineChoice | None], None]:
    """Report once that the first sparse training waits for compilation: of perceptrons, of convolutions."""
    seen: set[bool] = set()

    def announce(choice: EngineChoice | None) -> None:
        if choice is not None and choice.name == "sparse" and choice.has_convolutions not in seen:
            seen.add(choice.has_convolutions)
            from lth.training.engines.sparse import steps, trunk_steps  # loads numba

            if not (trunk_steps if choice.has_convolutions else steps).is_compiled():
                observer.noted("the sparse engine is compiled for this processor: ten seconds to a minute, once")

    return announce
