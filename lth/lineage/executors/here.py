"""Run jobs in this process: one after the other on a CPU, stacked on a GPU."""

import contextlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

import torch

from lth.lineage.executors.executor import OnReport, Report, one_thread
from lth.lineage.lease import LeaseLost
from lth.lineage.plan import Work
from lth.lineage.reader import Reader
from lth.lineage.work import Hooks
from lth.training import Interrupted, Unstackable, Where


class Here:
    """Runs jobs in this process.

    Args:
        reader: the store and the live objects.
        where: device and engine.
        population: most networks stacked in one program.
        is_forced: whether the engine was asked for by name.
        on_report: takes reports.
        should_stop: whether to save and stop now.
        prompt: text that language models go on from at evaluations; None draws no text.
        is_ours: whether this process still has the lease of a work, by key.
    """

    def __init__(
        self,
        reader: Reader,
        where: Where,
        population: int,
        is_forced: bool,
        on_report: OnReport,
        should_stop: Callable[[], bool],
        prompt: str | None = None,
        is_ours: Callable[[str], bool] = lambda key: True,
    ) -> None:
        self._reader, self._where, self._population, self._report = reader, where, population, on_report
        self._hooks = Hooks(
            lambda key, step, values: on_report(Report("progress", key, step, values)),
            lambda key, step, values: on_report(Report("evaluated", key, step, values)),
            should_stop,
            is_forced,
            prompt,
            lambda key, step, text: on_report(Report("sampled", key, step, text=text)),
            is_ours,
        )
        self._threads = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self._where.device == "cpu":
            self._threads.enter_context(one_thread())
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.close()

    def room(self) -> int:
        return self._population

    def submit(self, works: Sequence[Work], engine: str) -> None:
        """Run works as one program; one after the other where their networks cannot be stacked.

        Raises:
            Interrupted: if asked to stop; snapshots are saved.
            MemoryError: if the device has too little memory; says what helps.
        """
        where = replace(self._where, engine=engine)
        try:
            type(works[0].job).run(works, self._reader, where, self._hooks)
        except Unstackable as error:
            warnings.warn(f"networks are trained one after the other: {error}", stacklevel=2)
            self._population = 1
            for work in works:
                self.submit([work], engine)
            return
        except torch.OutOfMemoryError as error:
            count = len(works)
            help_ = f"take a --population below {count}" if count > 1 else "cut batches with --micro-batch"
            what = f"{count} networks in one program do" if count > 1 else "one network does"
            raise MemoryError(
                f"{what} not fit into the memory of the device "
                f"({str(error).splitlines()[0]}): {help_}, or use precision bfloat16, or device cpu"
            ) from error
        except Interrupted:
            for work in works:
                self._report(Report("stopped", work.key))
            raise
        except LeaseLost:
            self._lose(works)
            return
        for work in works:
            self._report(Report("done", work.key))

    def _lose(self, works: Sequence[Work]) -> None:
        """Leave works that trained together, one of which another process has taken over."""
        for work in works:
            self._report(Report("lost", work.key))

    def wait(self, timeout: float) -> None: ...
    def stop(self) -> None: ...
