"""The loop around every engine: runs to the next event, measures, keeps the best, saves, and looks up."""

import time
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from lth.config.recipe import Recipe
from lth.training.engines.engine import Engine, Outcome
from lth.training.history import History
from lth.training.journal import Interrupted, Journal
from lth.training.population import Member
from lth.training.snapshot import Snapshot

LOOK_SECONDS = 0.5
"""How often the loop looks up: tells its progress, sees whether it should stop, saves a snapshot that is due."""

RECENT_LOSSES = "losses"
"""The tensor of a snapshot that is the loop's: training losses since the last evaluation, (step,) float64."""


class Loop:
    """The state of one training that no engine needs to know: position, histories, losses since the evaluation."""

    def __init__(
        self, engine: Engine, members: Sequence[Member], recipe: Recipe, first_step: int, journal: Journal
    ) -> None:
        self.engine, self.members, self.recipe, self.journal = engine, members, recipe, journal
        self.step = self.first_step = first_step
        self.histories = [History() for _ in members]
        # One tensor per call of the engine, where the engine left it: reading one at every call could stall a GPU.
        self.recent: list[Tensor] = []
        self.changes_at_start = engine.take_mask_changes()

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Goes back to where the snapshots were taken, all at the same step."""
        self.engine.restore(snapshots)
        self.changes_at_start = []  # the histories have them
        self.step = snapshots[0].step
        self.histories = [snapshot.history for snapshot in snapshots]
        self.recent = [torch.stack([snapshot.tensors[RECENT_LOSSES] for snapshot in snapshots], dim=1)]

    def run(self, checkpoints: Collection[int], end: int, snapshot_seconds: float) -> None:
        """Trains up to step `end`."""
        self._tell_progress()  # where it starts, which after a resume is not the beginning
        if self.step == self.first_step:
            self._note_mask_changes()
            self._evaluate()
        now = time.monotonic()
        next_look, next_snapshot = now + LOOK_SECONDS, now + snapshot_seconds
        seconds_per_step = float("inf")
        while self.step < end and any(history.diverged_at is None for history in self.histories):
            before, look_in = now, min(next_look, next_snapshot) - now
            count = min(self._steps_to_event(checkpoints, end), max(1, int(look_in / seconds_per_step)))
            self.recent.append(self.engine.advance(self.step, count))
            self.step += count
            self._note_mask_changes()
            if self.step in checkpoints:
                for index, member in enumerate(self.members):
                    self.journal.save_checkpoint(member.key, self.step, self.engine.state_of(index))
            if self.step % self.recipe.evaluate_every == 0 or self.step == end:
                self._evaluate()
            now = time.monotonic()
            seconds_per_step = max(now - before, 1e-9) / count
            if now >= next_look or now >= next_snapshot:
                self._tell_progress()
                stop = self.journal.should_stop()
                if now >= next_snapshot or stop:
                    self._save_snapshots()
                    next_snapshot = time.monotonic() + snapshot_seconds
                if stop:
                    raise Interrupted
                now = time.monotonic()
                next_look = now + LOOK_SECONDS
        self._tell_progress()

    def results(self, read_test: bool, num_steps: int) -> list[Outcome]:
        """What every member leaves; reads the test set if asked to: for the final weights and for the best ones."""
        indices = range(len(self.members))
        states = [self.engine.state_of(index) for index in indices]
        blank = {"test_loss": None, "test_accuracy": None, "early_stop_test_accuracy": None}
        tests: list[dict[str, float | None]] = [dict(blank) for _ in indices]
        if read_test:
            loss, accuracy = self.engine.evaluate("test")
            self.engine.load_best()
            _, early = self.engine.evaluate("test")
            for index, history in enumerate(self.histories):
                if history.diverged_at is None:
                    tests[index] = dict(zip(blank, (loss[index], accuracy[index], early[index]), strict=True))
        return [
            Outcome(
                state,
                history.metrics(test),
                num_steps,
                self.engine.name,
                self.engine.masks_of(index),
                self.engine.traces_of(index),
                self.engine.signature,
            )
            for index, state, history, test in zip(indices, states, self.histories, tests, strict=True)
        ]

    def _steps_to_event(self, checkpoints: Collection[int], end: int) -> int:
        """How many updates there are until something must be measured or saved."""
        every = self.recipe.evaluate_every
        events = [end, (self.step // every + 1) * every, *(step for step in checkpoints if step > self.step)]
        return min(events) - self.step

    def _note_mask_changes(self) -> None:
        for changes in self.changes_at_start + self.engine.take_mask_changes():
            for history, change in zip(self.histories, changes.of_members, strict=True):
                if change is not None:
                    history.add_mask_change(changes.step, change.density, change.revived, change.revival_rate)
                    if changes.is_last:
                        history.forget_early_stop()
        self.changes_at_start = []

    def _evaluate(self) -> None:
        """Measures validation for every member that is still finite, and keeps the weights of the lowest loss."""
        losses, accuracies = self.engine.evaluate("validation")
        recent = self._recent().T.tolist()  # (member, step)
        self.recent = []
        improved = []
        for history, loss, accuracy, train_losses in zip(self.histories, losses, accuracies, recent, strict=True):
            improved.append(False)
            if history.diverged_at is not None:
                continue
            since = len(train_losses)
            bad = [offset for offset, value in enumerate(train_losses) if not abs(value) < float("inf")]
            if bad:
                history.diverged_at = self.step - since + bad[0] + 1
                continue
            improved[-1] = history.add(self.step, loss, accuracy, sum(train_losses) / since if since else None)
        if any(improved):
            self.engine.keep_best(improved)

    def _recent(self) -> Tensor:
        """Losses since the last evaluation, on the CPU: (step, member)."""
        nothing = torch.empty(0, len(self.members), dtype=torch.float64)
        return torch.cat([nothing, *(losses.cpu() for losses in self.recent)])

    def _save_snapshots(self) -> None:
        losses = self._recent()
        self.recent = [losses]
        for index, (member, history) in enumerate(zip(self.members, self.histories, strict=True)):
            tensors = self.engine.tensors(index) | {RECENT_LOSSES: losses[:, index].clone()}
            self.journal.save_snapshot(member.key, Snapshot(self.step, history, tensors, self.engine.signature))

    def _tell_progress(self) -> None:
        for member, history in zip(self.members, self.histories, strict=True):
            self.journal.progress(member.key, self.step, history)
