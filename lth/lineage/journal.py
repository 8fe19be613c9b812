"""What a training reports, put into a store: snapshots, checkpoints, times, and samples of a language model's text."""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from lth.lineage.begun import SNAPSHOTS
from lth.lineage.files import cannot_write, remove_stale, weights_to_bytes, write_file
from lth.lineage.lease import STALE_SECONDS, LeaseLost
from lth.lineage.provenance import run_provenance
from lth.lineage.reader import Reader
from lth.lineage.store import Store
from lth.lineage.text import text_after
from lth.lineage.times import FILE, Times, times_in, times_to_bytes
from lth.lineage.work import Hooks
from lth.sparsity import State
from lth.training import History, Snapshot, Where, snapshot_from_bytes

if TYPE_CHECKING:
    from lth.lineage.kinds.trained import Trained

SAMPLE_TOKENS = 60
"""Tokens of a sample at an evaluation."""


class StoreJournal:
    """The journal that keeps snapshots and checkpoints in a store.

    Args:
        reader: the store and the live objects.
        jobs: the trainings of one program, by key.
        checkpoints: steps whose full state is wanted.
        until: stop after this many steps in total; None for the training's end.
        where: device and engine.
        hooks: takes progress and samples, and says when to stop.
        digests: of the weights that each one starts from, by key.
    """

    def __init__(
        self,
        reader: Reader,
        jobs: "dict[str, Trained]",
        checkpoints: Collection[int],
        until: int | None,
        where: Where,
        hooks: Hooks,
        digests: dict[str, str],
    ) -> None:
        self._reader, self._jobs, self._where, self._hooks, self._digests = reader, jobs, where, hooks, digests
        self._store = reader.store
        self._began = time.monotonic()
        self.checkpoints, self.until = checkpoints, until
        self._sampled_at: int | None = None
        self._num_told = dict.fromkeys(jobs, 0)
        self.times: Times = {}
        self._times_kept: dict[str, int] = {}  # how many are in the file of each
        for key in jobs:  # all of one program have the same
            self.times |= times_in(self._store.work_folder(key) / FILE)

    def resume(self, key: str) -> Iterator[Snapshot]:
        """Give the snapshots in the work folder, newest first; each is read when it is asked for."""
        self._sweep(key)
        for path in snapshot_paths(self._store, key):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            yield snapshot_from_bytes(content, str(path))

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None:
        """Keep a snapshot, and the one before.

        Raises:
            LeaseLost: if another process has taken the training over: its snapshots stay.
        """
        if not self._hooks.is_ours(key):
            raise LeaseLost(f"{key[:8]} was taken over by another process")
        newest, before = snapshot_paths(self._store, key)
        try:
            # Missing at first, and where a stalled process or a worker without its build has just moved it.
            with contextlib.suppress(FileNotFoundError):
                newest.replace(before)
        except OSError as error:
            raise cannot_write(before, error) from error
        write_file(newest, snapshot.to_bytes())
        if self._times_kept.get(key) != len(self.times):
            write_file(self._store.work_folder(key) / FILE, times_to_bytes(self.times))
            self._times_kept[key] = len(self.times)

    def _sweep(self, key: str) -> None:
        """Remove what a kill left of snapshots half-written: of a large network that is a lot."""
        remove_stale(self._store.work_folder(key).glob(".*.*"), STALE_SECONDS)

    def save_checkpoint(self, key: str, step: int, state: State) -> None:
        node = self._jobs[key].at(step)
        if not self._store.has(node):
            seconds = time.monotonic() - self._began
            provenance = run_provenance(self._where.engine, self._where.device, len(self._jobs), seconds, step)
            self._store.commit(node, {"weights.safetensors": weights_to_bytes(state)}, provenance)

    def progress(self, key: str, step: int, history: History) -> None:
        history.start_digest = self._digests[key]
        for index in range(self._num_told[key], len(history.steps)):
            self._hooks.evaluated(key, history.steps[index], history.at(index))
        self._num_told[key] = len(history.steps)
        self._hooks.progress(key, step, history.last)

    def evaluated(self, key: str, step: int, seconds: float | None, state: Callable[[], State]) -> None:
        if seconds is not None:
            self.times[step] = seconds
        prompt = self._hooks.prompt
        if prompt is not None and self._sampled_at != step:  # of those that train together, the first
            self._sampled_at = step
            self._network.load_state_dict(state())
            data = self._reader.sources.data[self._jobs[key].data.digest]
            self._hooks.sampled(key, step, text_after(self._network, data, prompt, SAMPLE_TOKENS))

    @cached_property
    def _network(self) -> nn.Module:
        """A network of their kind, of its own: text is drawn in evaluation mode, and of uncompiled layers."""
        return self._reader.module(next(iter(self._jobs.values())).model)

    def should_stop(self) -> bool:
        return self._hooks.should_stop()


class ReadOnlyJournal(StoreJournal):
    """The journal of a rank that is not the first: it resumes from the same store, and writes nothing."""

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None: ...
    def _sweep(self, key: str) -> None: ...
    def save_checkpoint(self, key: str, step: int, state: State) -> None: ...
    def evaluated(self, key: str, step: int, seconds: float | None, state: Callable[[], State]) -> None: ...
    def progress(self, key: str, step: int, history: History) -> None:
        history.start_digest = self._digests[key]


def snapshot_paths(store: Store, key: str) -> list[Path]:
    """Return where the snapshots of a training lie, the newest first."""
    return [store.work_folder(key) / name for name in SNAPSHOTS]
