"""Training by a function of the user's: masks hold, rewind points are taken; an interrupted one starts anew."""

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from lth.config import Training, steps_per_epoch
from lth.data.order import training_order
from lth.data.types import Parts
from lth.sparsity.types import Masks, State
from lth.tasks import Batch, Task
from lth.tasks.yours import Yours, checked_values
from lth.training.engines.choose import YOURS
from lth.training.engines.engine import Outcome
from lth.training.guard import Guard, guard
from lth.training.history import Best, History
from lth.training.journal import Interrupted, Journal
from lth.training.population import Member, Population
from lth.training.where import Where


class Run:
    """What a training function of the user's is given beside the network.

    Call `guard(optimizer)` before the first step, and `step()` after each optimizer step. A function that has another
    loop inside may leave `step()` out: then nobody knows its steps, and results show none.

    Attributes:
        masks: True keeps; pruned entries are frozen at the values that the network has now.
        first_step, steps: where the training starts and ends: steps done before it, and in all.
        seed: of the data order.
        batch_size, lr: as the settings say.
        device: where the network is.
        parts: the data: `train`, `validation`, `test`; each has `len` and `take(indices, device)`.
    """

    def __init__(
        self, network: nn.Module, member: Member, training: Training, parts: Parts, journal: Journal, where: Where
    ) -> None:
        self.masks: Masks = member.masks
        self.first_step, self.steps = training.first_step, training.steps
        self.seed, self.batch_size, self.lr = member.seeds.order, training.batch_size, training.lr
        self.device, self.parts = torch.device(where.device), parts
        self.history, self.done = History(), training.first_step
        self._network, self._member, self._journal = network, member, journal

    def guard(self, optimizer: torch.optim.Optimizer) -> Guard | None:
        """Keep pruned weights at their values in every step of this optimizer; None where nothing is pruned."""
        return guard(self._network, optimizer, self.masks, fill="keep") if self.masks else None

    def step(self, **values: float) -> None:
        """Count an optimizer step; note values of the validation part by metric, if there are some.

        Raises:
            Interrupted: if the build is asked to stop; let it pass.
        """
        self.done += 1
        self.history.counted = self.done
        if values:
            self.history.note(self.done, {f"validation/{name}": float(value) for name, value in values.items()})
        if self.done in self._journal.checkpoints:
            self._journal.save_checkpoint(self._member.key, self.done, self.state())
        if self.done % 10 == 0 or values:
            self._journal.progress(self._member.key, self.done, self.history)
            if self._journal.should_stop():
                raise Interrupted

    def batches(self) -> Iterator[Batch]:
        """Give the training batches from the first step to the last, in the seeded order of the replicate."""
        train = self.parts["train"]
        per_epoch = steps_per_epoch(len(train), self.batch_size)
        ordered, order = -1, torch.empty(0, dtype=torch.int64)
        for step in range(self.first_step, self.steps):
            epoch, position = divmod(step, per_epoch)
            if epoch != ordered:
                ordered, order = epoch, training_order(train, self.batch_size, self.seed, epoch)
            yield train.take(order[position * self.batch_size : (position + 1) * self.batch_size], self.device)

    def state(self) -> State:
        """Return a copy on the CPU of the network's full state."""
        return {name: value.detach().cpu().clone() for name, value in self._network.state_dict().items()}


def train_by_function(
    members: Sequence[Member],
    training: Training,
    parts: Parts,
    module: nn.Module,
    where: Where,
    journal: Journal,
    task: Task,
) -> list[Outcome]:
    """Train members one after the other by the user's function.

    Raises:
        Interrupted: if asked to stop; nothing of the unfinished training is kept.
        ValueError: if pruned weights have moved, or a rewind point was not taken.
    """
    assert training.function is not None
    if where.function is None:
        raise ValueError(f"your training function {training.function.name!r} is not at hand: import it")
    outcomes = []
    for member in members:
        torch.manual_seed(member.seeds.augmentation)
        network = copy.deepcopy(module).to(where.device)  # what a function hangs on one network stays with it
        network.load_state_dict(member.start)
        run = Run(network.train(), member, training, parts, journal, where)
        _call(training.function.name, where.function, network, run)
        _check(run, member, training, journal)
        _measure(run, network, member, task, parts, where)
        outcomes.append(Outcome(run.state(), run.history, run.done - training.first_step, YOURS, signature=YOURS))
    return outcomes


def _call(name: str, function: Callable[..., Any], *arguments: object) -> Any:
    """Return what a function of the user's returns; an error of its own is told as such."""
    try:
        return function(*arguments)
    except Interrupted:
        raise
    except Exception as error:
        raise ValueError(
            f"your function {name!r} failed: {type(error).__name__}: {error}. --debug shows where"
        ) from error


def _check(run: Run, member: Member, training: Training, journal: Journal) -> None:
    """Check that masks held and that wanted rewind points were taken."""
    assert training.function is not None
    name, state = training.function.name, run.state()
    for parameter, mask in member.masks.items():
        start = member.start[parameter].to(state[parameter].dtype)
        if not torch.equal(state[parameter][~mask], start[~mask]):
            raise ValueError(
                f"your function {name!r} moved pruned weights of {parameter!r}: call run.guard(optimizer) before its "
                "first step"
            )
    if missed := [step for step in journal.checkpoints if step > run.done]:
        raise ValueError(
            f"your function {name!r} counted {run.done - run.first_step} steps with run.step(), and the state after "
            f"step {max(missed)} is wanted: call run.step() after each optimizer step"
        )
    if run.history.counted is None:
        warnings.warn(
            f"your function {name!r} counted no steps, so results show none, and Ctrl-C waits for its end: call "
            "run.step() after each optimizer step",
            stacklevel=2,
        )


def _measure(run: Run, network: nn.Module, member: Member, task: Task, parts: Parts, where: Where) -> None:
    """Measure the network at the end, by the user's function or by the task."""
    history = run.history
    if isinstance(task, Yours):
        if where.evaluate is None:
            raise ValueError(f"your function {task.evaluate!r} is not at hand: import it")
        measured = {"test": checked_values(task, _call(task.evaluate, where.evaluate, network.eval()))}
    else:
        population = Population(
            network, [Member(member.key, run.state(), {}, member.seeds)], run.device, "float32", task
        )
        measured = {part: population.evaluate(parts[part])[0] for part in parts if part.startswith("test")}
    if all(math.isfinite(value) for values in measured.values() for value in values.values()):
        history.end = {f"{part}/{name}": value for part, values in measured.items() for name, value in values.items()}
    else:
        history.diverged_at = run.done
    curve = history.curves.get(f"validation/{task.stop_by}", [])
    better = next(metric.better for metric in task.metrics if metric.name == task.stop_by)
    sign = 1 if better == "higher" else -1
    known = [(sign * value, -step) for value, step in zip(curve, history.steps, strict=False) if value is not None]
    if known:
        value, step = max(known)  # the first step, if several tie
        history.best = Best(step=-step, value=sign * value, by=f"validation/{task.stop_by}")
