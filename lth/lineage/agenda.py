"""What a build has still to do: what can start, what runs, what cannot be done, and who is told."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from lth.lineage.lease import Leases
from lth.lineage.nodes import Trained
from lth.lineage.plan import Plan, Work
from lth.lineage.store import Store

WAIT_SECONDS = 1.0
"""How often the store is looked at again while another process builds what we need."""


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

    def noted(self, text: str) -> None:
        """Something that a person may want to know."""


class Unobserved:
    """Tells nobody."""

    def planned(self, plan: Plan) -> None: ...
    def started(self, key: str) -> None: ...
    def progress(self, key: str, step: int, accuracy: float | None) -> None: ...
    def finished(self, key: str) -> None: ...
    def skipped(self, key: str, reason: str) -> None: ...
    def waiting(self, keys: Sequence[str]) -> None: ...
    def noted(self, text: str) -> None: ...


class Agenda:
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
                    del self.pending[key]
                    self.running[key] = self._as_it_is_now(work)
                    self.observer.started(key)
                    yield self.running[key]

    def finish(self, key: str) -> None:
        """A running work is done."""
        self._finish(self.running.pop(key))

    def release(self, key: str) -> Work:
        """A running work was stopped; it is free for others."""
        self.leases.release(self.store.work_folder(key))
        return self.running.pop(key)

    def renew(self, key: str) -> Work:
        """A running work, without what has been done of it already."""
        self.running[key] = self._as_it_is_now(self.running[key])
        return self.running[key]

    def put_back(self, key: str) -> None:
        """A running work is to be done later after all."""
        self.pending[key] = self.release(key)

    def wait_for_others(self) -> None:
        """Nothing can start here and nothing runs: another process has what we need."""
        self.observer.waiting(list(self.pending))
        time.sleep(WAIT_SECONDS)

    def _as_it_is_now(self, work: Work) -> Work:
        """The work without what another process has done since it was planned."""
        missing = tuple(step for step in work.checkpoints if not self.store.has(work.trained.at(step)))
        return replace(work, checkpoints=missing, finish=not self.store.has(work.trained))

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
