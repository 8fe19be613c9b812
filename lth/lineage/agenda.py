"""What a build has still to do: what can start, what runs, what cannot be done, and who takes note."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from lth.lineage.lease import Leases
from lth.lineage.plan import Plan, Work
from lth.lineage.store import Store

WAIT_SECONDS = 1.0
"""How often the store is looked at again while another process builds what we need."""


class Observer(Protocol):
    """Who takes note of how a build goes."""

    def planned(self, plan: Plan) -> None:
        """Take note of what there is to do."""

    def started(self, key: str) -> None:
        """Take note that a job begins."""

    def progress(self, key: str, step: int, values: Mapping[str, float]) -> None:
        """Take note of where a job is, and of the last value of each `part/metric`."""

    def evaluated(self, key: str, step: int, values: Mapping[str, float]) -> None:
        """Take note of what an evaluation measured: each in its order, of one that goes on those before it too."""

    def sampled(self, key: str, step: int, text: str) -> None:
        """Take note of what a language model wrote at an evaluation."""

    def finished(self, key: str) -> None:
        """Take note that a job is done, here or by another process."""

    def skipped(self, key: str, reason: str) -> None:
        """Take note that a job cannot be done because one that it stands on diverged."""

    def waiting(self, keys: Sequence[str]) -> None:
        """Take note that another process does these, and that we wait for it."""

    def noted(self, text: str) -> None:
        """Take note of something that a person may want to know."""


class Unobserved:
    """An observer that takes no note; others say only what they do otherwise."""

    def planned(self, plan: Plan) -> None: ...
    def started(self, key: str) -> None: ...
    def progress(self, key: str, step: int, values: Mapping[str, float]) -> None: ...
    def evaluated(self, key: str, step: int, values: Mapping[str, float]) -> None: ...
    def sampled(self, key: str, step: int, text: str) -> None: ...
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
        self._diverged = {job.key: where for job in todo.done if (where := store.diverged_at(job)) is not None}

    @property
    def is_empty(self) -> bool:
        return not self.pending and not self.running

    def claim(self, most: int) -> list[Work]:
        """Return works of one kind that can start now, at most so many; they are ours (leased) from now on."""
        claimed: list[Work] = []
        for key, work in list(self.pending.items()):
            if claimed and work.alike != claimed[0].alike:
                continue
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
                    claimed.append(self.running[key])
                    if len(claimed) == most:
                        break
        return claimed

    def finish(self, key: str) -> None:
        """Take note that a running work is done."""
        self._finish(self.running.pop(key))

    def release(self, key: str) -> None:
        """Leave a running work that was stopped to others."""
        self.leases.release(self.store.work_folder(key))
        del self.running[key]

    def wait_for_others(self) -> None:
        """Wait a little: nothing can start here and nothing runs, so another process has what we need."""
        self.observer.waiting(list(self.pending))
        time.sleep(WAIT_SECONDS)

    def _as_it_is_now(self, work: Work) -> Work:
        """Return the work without what another process has done since it was planned."""
        missing = tuple(step for step in work.checkpoints if not self._has_checkpoint(work, step))
        return replace(work, checkpoints=missing, finish=not self.store.has(work.job))

    def _has_checkpoint(self, work: Work, step: int) -> bool:
        at = getattr(work.job, "at", None)
        return at is not None and self.store.has(at(step))

    def _finish(self, work: Work) -> None:
        self.leases.release(self.store.work_folder(work.key))
        if (step := self.store.diverged_at(work.job)) is not None:
            self._diverged[work.key] = step
        self.observer.finished(work.key)

    def _drop(self, key: str, reason: str) -> None:
        del self.pending[key]
        self.skipped[key] = reason
        self.observer.skipped(key, reason)

    def _is_done(self, work: Work) -> bool:
        has_all = all(self._has_checkpoint(work, step) for step in work.checkpoints)
        return has_all and (not work.finish or self.store.has(work.job))
