"""What a build has still to do: what can start, what runs, what cannot be done, and who takes note."""

import random
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from lth.lineage.backoff import Backoff
from lth.lineage.lease import Leases
from lth.lineage.nodes import Job
from lth.lineage.plan import Plan, Work
from lth.lineage.store import Store

MOST_TRIES = 16
"""How many works that turn out to be another process's are tried in one look."""
FEW_TRIES = 4
"""And how many of those before works that nobody has begun."""
NAP_SECONDS = 0.2
"""The longest sleep, so that an interruption is noticed."""


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
    """What is left to do, what runs, and what cannot be done.

    The store is looked at as seldom as it may be: a look lists the folder of unfinished works once, asks for those that
    can start and are not in it, and tries few of the others; where it brings nothing the next one comes later.
    """

    def __init__(self, todo: Plan, store: Store, leases: Leases, observer: Observer) -> None:
        self.store, self.leases, self.observer = store, leases, observer
        self.pending = {work.key: work for work in todo.works}
        self.running: dict[str, Work] = {}
        self.skipped: dict[str, str] = {}
        self._place = {work.key: index for index, work in enumerate(todo.works)}
        self._dependents: dict[str, list[str]] = {key: [] for key in self.pending}
        self._blocked: Counter[str] = Counter()
        for work in todo.works:
            for key in work.needs & self.pending.keys():
                self._dependents[key].append(work.key)
                self._blocked[work.key] += 1
        self._ready = {key for key in self.pending if not self._blocked[key]}
        self._next: set[str] = set()  # those that were let go by what was done here: nobody needs to be asked
        self._unread: dict[str, Job] = {job.key: job for job in todo.done}  # finished, and how is not known yet
        self._diverged: dict[str, int] = {}
        self._draws = random.Random(leases.process.token)
        self._wait, self._look_at, self._has_waited = Backoff(self._draws), 0.0, False
        self._elsewhere: dict[str, tuple[Backoff, float]] = {}  # when to try again what another process has
        self._alike: dict[str, Hashable] = {}

    @property
    def is_empty(self) -> bool:
        return not self.pending and not self.running

    @property
    def seconds_to_look(self) -> float:
        """How long `claim` leaves the store alone."""
        return max(0.0, self._look_at - self.leases.process.seconds())

    def claim(self, most: int) -> list[Work]:
        """Return works of one kind that can start now, at most so many; they are ours (leased) from now on.

        Where there were none, it does not look again for a while, which grows from look to look.
        """
        if not self._ready or self.seconds_to_look:
            return []
        claimed: list[Work] = []
        unfinished = self.store.unfinished()
        seen, tries = self._ready.copy(), 0
        queue = self._in_order(seen, unfinished)
        while queue and len(claimed) < most and tries < MOST_TRIES:
            key = queue.pop()
            work = self.pending[key]
            if claimed and self._kind(work) != self._kind(claimed[0]):
                continue
            match self._try(work, key in unfinished):
                case "ours":
                    claimed.append(self.running[key])
                case "elsewhere":
                    tries += 1
                    if tries == 1:
                        queue = self._scattered(queue, unfinished)
                case "over":
                    queue = self._in_order(self._ready - seen, unfinished) + queue
                    seen |= self._ready
        if claimed:
            self._look_soon()
        else:
            self._look_at, self._has_waited = self.leases.process.seconds() + self._wait.next(), False
        return claimed

    def finish(self, key: str) -> None:
        """Take note that a running work is done."""
        before = self._ready.copy()
        self._finish(self.running.pop(key))
        self._next |= self._ready - before
        self._look_soon()

    def release(self, key: str) -> None:
        """Leave a running work that was stopped to others."""
        self.leases.release(self.store.work_folder(key))
        del self.running[key]

    def lose(self, key: str) -> None:
        """Leave a running work that another process has taken over, or that trained together with such a one."""
        if not self.is_ours(key):
            self.observer.noted(
                f"{key[:8]} was taken over by another process, as this one was not heard of for too long"
            )
        self.leases.release(self.store.work_folder(key))
        self.pending[key] = self.running.pop(key)
        self._ready.add(key)

    def is_ours(self, key: str) -> bool:
        """Return whether a running work was not taken over by another process."""
        return self.leases.is_held(self.store.work_folder(key))

    def wait_for_others(self) -> None:
        """Wait a little: nothing can start here and nothing runs, so another process has what we need."""
        if not self._has_waited:
            self.observer.waiting(list(self.pending))
            self._has_waited = True
        time.sleep(min(NAP_SECONDS, self.seconds_to_look))

    def _in_order(self, keys: Iterable[str], unfinished: set[str]) -> list[str]:
        """Return works that may be tried, the last one first; those that another process has are left alone a while."""
        now = self.leases.process.seconds()
        found = [key for key in keys if key not in unfinished or self._elsewhere.get(key, (None, 0.0))[1] <= now]
        return sorted(found, key=lambda key: (key not in self._next, self._place[key]), reverse=True)

    def _scattered(self, queue: list[str], unfinished: set[str]) -> list[str]:
        """Return works in an order of our own, as many processes look at once: few that were begun, then new ones."""
        self._draws.shuffle(queue)
        begun, new = ([key for key in queue if (key in unfinished) == is_begun] for is_begun in (True, False))
        return begun[FEW_TRIES:] + new + begun[:FEW_TRIES]

    def _try(self, work: Work, is_begun: bool) -> Literal["ours", "elsewhere", "over"]:
        """Return what became of a work that can start."""
        key = work.key
        if not is_begun and self._is_done(work):
            self._finish(self.pending.pop(key))
            return "over"
        if not self.leases.acquire(self.store.work_folder(key)):
            wait, _ = self._elsewhere.get(key, (Backoff(self._draws), 0.0))
            self._elsewhere[key] = wait, self.leases.process.seconds() + wait.next()
            return "elsewhere"
        del self.pending[key]
        if self._is_done(work):  # by another process, between the look and the lease
            self.store.finish_work(key)
            self._finish(work)
            return "over"
        if (step := self._broken(work)) is not None:
            self.store.finish_work(key)
            self._drop(work, f"the training before it diverged at step {step}")
            return "over"
        self._ready.discard(key)
        self.running[key] = self._as_it_is_now(work)
        self.observer.started(key)
        return "ours"

    def _kind(self, work: Work) -> Hashable:
        if work.key not in self._alike:
            self._alike[work.key] = work.alike
        return self._alike[work.key]

    def _look_soon(self) -> None:
        self._look_at = 0.0
        self._wait.reset()

    def _as_it_is_now(self, work: Work) -> Work:
        """Return the work without what another process has done since it was planned."""
        missing = tuple(step for step in work.checkpoints if not self._has_checkpoint(work, step))
        return replace(work, checkpoints=missing, finish=not self.store.has(work.job))

    def _has_checkpoint(self, work: Work, step: int) -> bool:
        at = getattr(work.job, "at", None)
        return at is not None and self.store.has(at(step))

    def _broken(self, work: Work) -> int | None:
        """Return the step at which a training that a work stands on diverged; None if none did."""
        for key in work.needs & self._unread.keys():
            if (step := self.store.diverged_at(self._unread.pop(key))) is not None:
                self._diverged[key] = step
        return next((self._diverged[key] for key in work.needs & self._diverged.keys()), None)

    def _finish(self, work: Work) -> None:
        self.leases.release(self.store.work_folder(work.key))
        self._unread[work.key] = work.job
        self._unblock(work.key)
        self.observer.finished(work.key)

    def _drop(self, work: Work, reason: str) -> None:
        self.leases.release(self.store.work_folder(work.key))
        self._unblock(work.key)
        self.skipped[work.key] = reason
        self.observer.skipped(work.key, reason)

    def _unblock(self, key: str) -> None:
        """Let works start that waited for this one alone."""
        self._ready.discard(key)
        self._next.discard(key)
        self._elsewhere.pop(key, None)
        for dependent in self._dependents.pop(key):
            self._blocked[dependent] -= 1
            if not self._blocked[dependent]:
                self._ready.add(dependent)

    def _is_done(self, work: Work) -> bool:
        has_all = all(self._has_checkpoint(work, step) for step in work.checkpoints)
        return has_all and (not work.finish or self.store.has(work.job))
