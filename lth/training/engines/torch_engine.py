"""The torch engine: data in memory, gathered by index; gradients masked, clipped, then a fused optimizer step."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lth.config.recipe import Recipe
from lth.config.sparsifier import Sparsifier
from lth.data.order import epoch_order
from lth.data.splits import Split
from lth.sparsity.types import Masks, Weights
from lth.training.engines.resume import choose_snapshots, restore, take_snapshots
from lth.training.history import History
from lth.training.journal import Interrupted, Journal, NoJournal
from lth.training.moments import load_moments, moments_of
from lth.training.optimizers import make_optimizer
from lth.training.population import Member, Population
from lth.training.seeds import derive_seed
from lth.training.sparsifiers import RunningSparsifier, plan_sparsifier
from lth.training.traces import MOMENTS, SUMS, empty_sums

LOOK_SECONDS = 0.5
"""How often the loop looks up: tells its progress, sees whether it should stop, saves a snapshot that is due."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a training leaves of one member.

    Attributes:
        weights: its whole state at the end.
        metrics: what was measured, as JSON values.
        num_steps: optimizer steps done by this call (after a resume: the last part).
        masks: the sparsifier's masks in force at the end, one for each parameter that has one in `Member.masks`; None
            without a sparsifier.
        traces: what was asked for by name: `movement_pruning`, by parameter; `moments` as one entry `moments/ENTRY` for
            each of the optimizer's.
    """

    weights: Weights
    metrics: dict[str, Any]
    num_steps: int
    masks: Masks | None = None
    traces: dict[str, Weights] = field(default_factory=dict)


def train(
    members: Sequence[Member],
    module: nn.Module,
    split: Split,
    recipe: Recipe,
    *,
    first_step: int = 0,
    checkpoints: Collection[int] = (),
    until: int | None = None,
    journal: Journal | None = None,
    snapshot_seconds: float = 10.0,
    device: str = "cpu",
    sparsifier: Sparsifier | None = None,
    traces: Collection[str] = (),
) -> list[Outcome]:
    """Each member's end state and metrics, after training all of them side by side.

    After every step a pruned entry is bit-equal to its start value, or to the value that a sparsifier gave it when it
    pruned it. Validation is measured every `recipe.evaluate_every` steps, the test set once, at the end: for the final
    weights and for those of the early-stopping iteration. A member whose loss is not finite is stopped and its step
    named in the metrics; the others go on. The optimizer starts fresh, unless members bring moments.

    Args:
        members: the networks; they share module kind, data and recipe.
        module: a network of that kind; its values do not matter, and it is used up.
        split: the data.
        recipe: counted in steps (`Recipe.in_steps`).
        first_step: where in the recipe's schedule and data order the training starts (a rewind step).
        checkpoints: steps whose whole state goes to the journal.
        until: stop after this many steps in total, without reading the test set; the recipe's end by default.
        journal: where to report to and resume from.
        snapshot_seconds: time between snapshots.
        device: `cpu` or a CUDA device.
        sparsifier: what prunes on the way. Its shares are of the steps from `first_step` to the recipe's end. It prunes
            among the weights that `Member.masks` keep.
        traces: what else to keep of the training: `movement_pruning` (the sum over the steps of -gradient * weight, for
            every trainable parameter), `moments` (the optimizer's state at the end).
    Raises:
        Interrupted: if the journal asks to stop; snapshots are saved first.
        ValueError: if starting weights, masks or moments do not fit the module and the optimizer, or the sparsifier or
            a trace is not possible.
    """
    devices = [torch.device(device)] if device != "cpu" else []
    with torch.random.fork_rng(devices=devices):
        loop = _Loop(members, module, split, recipe, first_step, journal or NoJournal(), torch.device(device), traces)
        if sparsifier is not None:
            loop.prune_by(sparsifier)
        kept = [loop.journal.resume(member.key) for member in members]
        if snapshots := choose_snapshots(kept, loop.population, first_step, checkpoints):
            restore(loop, snapshots)
        resumed_at = loop.step
        loop.run(set(checkpoints), recipe.steps if until is None else until, snapshot_seconds)
        return loop.results(read_test=until is None, num_steps=loop.step - resumed_at)


class _Loop:
    """The state of one training: population, optimizer, position, histories."""

    def __init__(
        self,
        members: Sequence[Member],
        module: nn.Module,
        split: Split,
        recipe: Recipe,
        first_step: int,
        journal: Journal,
        device: torch.device,
        traces: Collection[str],
    ) -> None:
        self.members, self.recipe, self.first_step, self.journal = members, recipe, first_step, journal
        self.traces = traces
        self.sparsifier: RunningSparsifier | None = None
        self.population = Population(module.train(), members, device, recipe.precision)
        dtype = torch.float64 if recipe.precision == "float64" else torch.float32
        self.x_train, self.x_validation, self.x_test = (
            inputs.to(device, dtype) for inputs in (split.x_train, split.x_validation, split.x_test)
        )
        self.y_train, self.y_validation, self.y_test = (
            labels.to(device) for labels in (split.y_train, split.y_validation, split.y_test)
        )
        self.steps_per_epoch = len(self.y_train) // recipe.batch_size
        self.optimizer = make_optimizer(
            recipe.optimizer,
            self.population.parameters.values(),
            recipe.lr,
            recipe.weight_decay,
            recipe.optimizer_options,
        )
        load_moments(self.optimizer, self.population, members)
        self.sums = empty_sums(traces, self.population)
        self.step = self.evaluated_at = first_step
        self.histories = [History() for _ in members]
        self.best = {name: value.clone() for name, value in self.population.tensors().items()}
        # Losses since the last evaluation stay on the device: reading one would stall the loop at every step.
        self.recent = torch.zeros(recipe.evaluate_every, len(members), dtype=torch.float64, device=device)
        self._epoch, self._orders = -1, torch.empty(0, dtype=torch.int64)
        torch.manual_seed(derive_seed(*(member.seeds.augmentation for member in members)))

    def prune_by(self, settings: Sparsifier) -> None:
        """Lets these settings prune on the way."""
        if settings.criterion in SUMS:
            self.sums |= empty_sums([settings.criterion], self.population)
        plan = plan_sparsifier(
            settings, self.recipe.steps, first_step=self.first_step, steps_per_epoch=self.steps_per_epoch
        )
        self.sparsifier = RunningSparsifier(settings, plan, self.members, self.population, self.optimizer, self.sums)

    def run(self, checkpoints: set[int], end: int, snapshot_seconds: float) -> None:
        """Trains up to step `end`."""
        self._tell_progress()  # where it starts, which after a resume is not the beginning
        if self.step == self.first_step:
            self._sparsify()
            self._evaluate()
        next_look, next_snapshot = time.monotonic() + LOOK_SECONDS, time.monotonic() + snapshot_seconds
        while self.step < end and any(history.diverged_at is None for history in self.histories):
            self._update()
            self._sparsify()
            if self.step in checkpoints:
                for index, member in enumerate(self.members):
                    self.journal.save_checkpoint(member.key, self.step, self.population.state_of(index))
            if self.step % self.recipe.evaluate_every == 0 or self.step == end:
                self._evaluate()
            now = time.monotonic()
            if now >= next_look or now >= next_snapshot:
                self._tell_progress()
                stop = self.journal.should_stop()
                if now >= next_snapshot or stop:
                    for member, snapshot in zip(self.members, take_snapshots(self), strict=True):
                        self.journal.save_snapshot(member.key, snapshot)
                    next_snapshot = time.monotonic() + snapshot_seconds
                if stop:
                    raise Interrupted
                next_look = time.monotonic() + LOOK_SECONDS
        self._tell_progress()

    def results(self, read_test: bool, num_steps: int) -> list[Outcome]:
        """What every member leaves; reads the test set if asked to."""
        blank = {"test_loss": None, "test_accuracy": None, "early_stop_test_accuracy": None}
        tests: list[dict[str, float | None]] = [dict(blank) for _ in self.members]
        if read_test:
            loss, accuracy = (values.tolist() for values in self.population.evaluate(self.x_test, self.y_test))
            states = [self.population.state_of(index) for index in range(len(self.members))]
            self.population.load(self.best)
            _, early = (values.tolist() for values in self.population.evaluate(self.x_test, self.y_test))
            for index, history in enumerate(self.histories):
                if history.diverged_at is None:
                    tests[index] = dict(zip(blank, (loss[index], accuracy[index], early[index]), strict=True))
        else:
            states = [self.population.state_of(index) for index in range(len(self.members))]
        return [
            Outcome(state, history.metrics(test), num_steps, self._masks_of(index), self._traces_of(index))
            for index, (state, history, test) in enumerate(zip(states, self.histories, tests, strict=True))
        ]

    def _masks_of(self, index: int) -> Masks | None:
        if self.sparsifier is None:
            return None
        return {name: mask.cpu().clone() for name, mask in self.sparsifier.masks_in_force(index).items()}

    def _traces_of(self, index: int) -> dict[str, Weights]:
        traces = {
            kind: {name: self.population.own(value, index).cpu().clone() for name, value in sums.items()}
            for kind, sums in self.sums.items()
            if kind in self.traces
        }
        if MOMENTS in self.traces:
            moments = moments_of(self.optimizer, self.population, index)
            traces |= {f"{MOMENTS}/{entry}": values for entry, values in moments.items()}
        return traces

    def _sparsify(self, *, has_gradients: bool = False) -> None:
        """Changes the masks if that is due after the steps done so far."""
        if self.sparsifier is None:
            return
        changes = self.sparsifier.apply(self.step, has_gradients=has_gradients)
        for history, change in zip(self.histories, changes, strict=False):  # none if nothing was due
            if change is not None:
                history.add_mask_change(self.step, change.density, change.revived, change.revival_rate)
                if self.sparsifier.is_last(self.step):
                    history.forget_early_stop()

    @property
    def _must_restore_frozen(self) -> bool:
        """Whether an optimizer step can move pruned entries."""
        if self.sparsifier is not None and self.sparsifier.moves_frozen:
            return True
        return self.recipe.weight_decay > 0 and self.population.has_nonzero_frozen

    def _update(self) -> None:
        """One optimizer step for every member."""
        inputs, labels = self._batch()
        losses = self.population.losses(inputs, labels)
        self.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._sparsify(has_gradients=True)
        self.population.mask_gradients()
        for kind, sums in self.sums.items():
            SUMS[kind](sums, self.population)
        if self.recipe.clip is not None:
            self.population.clip_gradients(self.recipe.clip)
        lr = self.recipe.lr_at(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        if self._must_restore_frozen:
            self.population.restore_frozen()
        self.recent[self.step % len(self.recent)] = losses.detach()
        self.step += 1

    def _batch(self) -> tuple[Tensor, Tensor]:
        """The examples of this step: a function of the order seeds and the step alone."""
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if epoch != self._epoch:
            orders = [epoch_order(len(self.y_train), member.seeds.order, epoch) for member in self.members]
            self._epoch, self._orders = epoch, torch.stack(orders).to(self.y_train.device)
        start = position * self.recipe.batch_size
        indices = self._orders[:, start : start + self.recipe.batch_size]
        if not self.population.is_stacked:
            return self.x_train.index_select(0, indices[0]), self.y_train.index_select(0, indices[0])
        return self.x_train[indices], self.y_train[indices]  # (member, batch, ...)

    def _evaluate(self) -> None:
        """Measures validation for every member that is still finite, and keeps the weights of the lowest loss."""
        losses, accuracies = (
            values.tolist() for values in self.population.evaluate(self.x_validation, self.y_validation)
        )
        since = self.step - self.evaluated_at
        self.evaluated_at = self.step
        rows = [(self.step - since + offset) % len(self.recent) for offset in range(since)]
        recent = self.recent[rows].T.tolist()  # (member, step)
        improved = []
        for history, loss, accuracy, train_losses in zip(self.histories, losses, accuracies, recent, strict=True):
            improved.append(False)
            if history.diverged_at is not None:
                continue
            bad = [offset for offset, value in enumerate(train_losses) if not abs(value) < float("inf")]
            if bad:
                history.diverged_at = self.step - since + bad[0] + 1
                continue
            improved[-1] = history.add(self.step, loss, accuracy, sum(train_losses) / since if since else None)
        if any(improved):
            self._keep_best(improved)

    def _keep_best(self, improved: list[bool]) -> None:
        for name, value in self.population.tensors().items():
            if all(improved):
                self.best[name].copy_(value)
            else:
                chosen = torch.tensor(improved, device=value.device).view(-1, *[1] * (value.ndim - 1))
                self.best[name].copy_(torch.where(chosen, value, self.best[name]))

    def _tell_progress(self) -> None:
        for member, history in zip(self.members, self.histories, strict=True):
            self.journal.progress(member.key, self.step, history)
