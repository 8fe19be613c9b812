"""The loop around every engine: runs to the next event, measures, keeps the best, saves, and looks up."""

import math
import time
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from lth.config import Training
from lth.data.types import Parts
from lth.tasks import Task
from lth.training.engines.engine import Engine, Outcome
from lth.training.history import History
from lth.training.journal import Interrupted, Journal
from lth.training.population import Member
from lth.training.ranks import ALONE, Ranks
from lth.training.snapshot import Snapshot

LOOK_SECONDS = 0.5
"""How often the loop looks up: reports its progress, sees whether it should stop, saves a snapshot that is due."""

RECENT_LOSSES = "losses"
"""The tensor of a snapshot that is the loop's: training losses since the last evaluation, (step,) float64."""


class Loop:
    """The state of one training that no engine needs to know: position, histories, losses since the evaluation."""

    def __init__(
        self,
        engine: Engine,
        members: Sequence[Member],
        training: Training,
        task: Task,
        parts: Parts,
        journal: Journal,
        ranks: Ranks = ALONE,
    ) -> None:
        self.engine, self.members, self.training, self.task, self.journal = engine, members, training, task, journal
        self.ranks = ranks  # the first one's clock decides for all
        self.tests = [part for part in parts if part.startswith("test")]
        stop_by = next(metric for metric in task.metrics if metric.name == task.stop_by)
        self.sign = 1 if stop_by.better == "higher" else -1
        self.step = training.first_step
        self.histories = [History() for _ in members]
        # One tensor per call of the engine, where the engine left it: reading one at every call could stall a GPU.
        self.recent: list[Tensor] = []
        self.changes_at_start = engine.take_mask_changes()
        self.timed_from = self.step, time.monotonic()

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Go back to where the snapshots were taken, all at the same step."""
        self.engine.restore(snapshots)
        self.changes_at_start = []  # the histories have them
        self.step = snapshots[0].step
        self.histories = [snapshot.history for snapshot in snapshots]
        self.recent = [torch.stack([snapshot.tensors[RECENT_LOSSES] for snapshot in snapshots], dim=1)]

    def run(self, end: int, snapshot_seconds: float) -> None:
        """Train up to step `end`."""
        self._report()  # where it starts, which after a resume is not the beginning
        if self.step == self.training.first_step:
            self._note_mask_changes()
            self._evaluate()
        now = time.monotonic()
        self.timed_from = self.step, now
        next_look, next_snapshot = now + LOOK_SECONDS, now + snapshot_seconds
        seconds_per_step = float("inf")
        while self.step < end and any(history.diverged_at is None for history in self.histories):
            before, look_in = now, min(next_look, next_snapshot) - now
            count = self.ranks.broadcast(min(self._steps_to_event(end), max(1, int(look_in / seconds_per_step))))
            self.recent.append(self.engine.advance(self.step, count))
            self.step += count
            self._note_mask_changes()
            if self.step in self.journal.checkpoints:
                for index, member in enumerate(self.members):
                    self.journal.save_checkpoint(member.key, self.step, self.engine.state_of(index))
            if self.step % self.training.evaluate_every == 0 or self.step == end:
                self._evaluate()
            now = time.monotonic()
            seconds_per_step = max(now - before, 1e-9) / count
            looks, saves = self.ranks.broadcast((now >= min(next_look, next_snapshot), now >= next_snapshot))
            if looks:
                self._report()
                stop = any(self.ranks.all_gather(self.journal.should_stop()))
                if saves or stop:
                    began = time.monotonic()
                    self._save_snapshots()
                    now = time.monotonic()
                    # At most 1 % of the time goes into snapshots, unless one after every step is asked for.
                    pause = 100 * (now - began) if snapshot_seconds else 0.0
                    next_snapshot = now + max(snapshot_seconds, pause)
                if stop:
                    raise Interrupted
                now = time.monotonic()
                next_look = now + LOOK_SECONDS
        self._report()

    def outcomes(self, read_test: bool, num_steps: int) -> list[Outcome]:
        """Return what every member leaves; read the test parts if asked to: for the end and for the best weights."""
        states = [self.engine.state_of(index) for index in range(len(self.members))]
        if read_test:
            self._read_tests("end")
            for index, history in enumerate(self.histories):
                if history.diverged_at is None:
                    history.end |= self.engine.measures_of(index, self.step, at_end=True)
            if any(history.best is not None for history in self.histories):
                self.engine.load_best()
                self._read_tests("at_best")
        return [
            Outcome(
                state,
                history,
                num_steps,
                self.engine.name,
                self.engine.masks_of(index),
                self.engine.traces_of(index),
                self.engine.moments_of(index),
                self.engine.signature,
            )
            for index, (state, history) in enumerate(zip(states, self.histories, strict=True))
        ]

    def _read_tests(self, when: str) -> None:
        for part in self.tests:
            for history, values in zip(self.histories, self.engine.evaluate(part), strict=True):
                if history.diverged_at is None:
                    kept = {f"{part}/{name}": value for name, value in values.items() if math.isfinite(value)}
                    getattr(history, when).update(kept)

    def _steps_to_event(self, end: int) -> int:
        """Return how many steps there are until something must be measured or saved."""
        every = self.training.evaluate_every
        wanted = (step for step in self.journal.checkpoints if step > self.step)
        return min(end, (self.step // every + 1) * every, *wanted) - self.step

    def _note_mask_changes(self) -> None:
        for changes in self.changes_at_start + self.engine.take_mask_changes():
            for history, change in zip(self.histories, changes.of_members, strict=True):
                if change is not None:
                    history.mask_changes.append(change)
                    if changes.is_last:
                        history.best = None
        self.changes_at_start = []

    def _evaluate(self) -> None:
        """Measure validation for every member that is still finite, and keep the weights of the best value."""
        recent = self._recent().T.tolist()  # (member, step); once they are read, the steps are done on a GPU too
        self.recent = []
        (before, began), now = self.timed_from, time.monotonic()
        seconds = (now - began) / (self.step - before) if self.step > before else None
        measured = self.engine.evaluate("validation")
        improved = []
        names = [metric.name for metric in self.task.metrics]
        for index, (history, values, train_losses) in enumerate(zip(self.histories, measured, recent, strict=True)):
            improved.append(False)
            if history.diverged_at is not None:
                continue
            since = len(train_losses)
            bad = [offset for offset, value in enumerate(train_losses) if not abs(value) < float("inf")]
            if bad:
                history.diverged_at = self.step - since + bad[0] + 1
                continue
            kept = {name: values[name] for name in names}
            mean = sum(train_losses) / since if since else None
            is_finite = math.isfinite(kept[self.task.stop_by])
            more = self.engine.measures_of(index, self.step) if is_finite else {}
            improved[-1] = history.add(self.step, kept, mean, self.task.stop_by, self.sign, more)
        if any(improved):
            self.engine.keep_best(improved)
        for index, (member, history) in enumerate(zip(self.members, self.histories, strict=True)):
            if history.diverged_at is None:
                self.journal.evaluated(member.key, self.step, seconds, partial(self.engine.state_of, index))
        self.timed_from = self.step, time.monotonic()

    def _recent(self) -> Tensor:
        """Return the losses since the last evaluation, on the CPU: (step, member)."""
        nothing = torch.empty(0, len(self.members), dtype=torch.float64)
        return torch.cat([nothing, *(losses.cpu() for losses in self.recent)])

    def _save_snapshots(self) -> None:
        losses = self._recent()
        self.recent = [losses]
        for index, (member, history) in enumerate(zip(self.members, self.histories, strict=True)):
            tensors = self.engine.tensors(index) | {RECENT_LOSSES: losses[:, index].clone()}
            self.journal.save_snapshot(member.key, Snapshot(self.step, history, tensors, self.engine.signature))

    def _report(self) -> None:
        for member, history in zip(self.members, self.histories, strict=True):
            self.journal.progress(member.key, self.step, history)
