"""`train`: one interface to all engines."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from lth.config import Training
from lth.data.types import Parts
from lth.sparsity.metrics import density
from lth.tasks import make_task
from lth.training.engines.choose import choose_engine
from lth.training.engines.engine import Outcome
from lth.training.engines.loop import Loop
from lth.training.engines.resume import choose_snapshots
from lth.training.engines.table import ENGINES
from lth.training.engines.yours import train_by_function
from lth.training.journal import Journal, NoJournal
from lth.training.population import Member
from lth.training.where import Where


def train(
    members: Sequence[Member],
    training: Training,
    parts: Parts,
    *,
    module: nn.Module,
    where: Where | None = None,
    journal: Journal | None = None,
) -> list[Outcome]:
    """Train members side by side; return each one's end state and what was measured.

    After every step a pruned entry is bit-equal to its start value (a zero may lose its sign), or to the value that a
    sparsifier gave it when it pruned it. Validation is measured every `training.evaluate_every` steps, the test parts
    once, at the end: for the weights at the end and for those of the early-stopping point. A member whose loss is not
    finite is stopped and its step noted; the others go on. The optimizer starts fresh, unless members bring moments.

    Args:
        members: the networks; they share module kind, data and training.
        training: how; a sparsifier's shares are of the steps from its first to its last, and it prunes among the
            weights that `Member.masks` keep.
        parts: the data, with parts `train`, `validation` and `test`.
        module: a network of the members' kind; its values do not matter, and it is used up.
        where: device and engine.
        journal: where to report to and resume from; it may want checkpoints, or an early end.
    Raises:
        Interrupted: if the journal asks to stop; snapshots are saved first.
        ValueError: if starting weights, masks or moments do not fit the module and the optimizer, or the engine, the
            sparsifier or a trace is not possible.
    """
    where, journal, task = where or Where(), journal or NoJournal(), make_task(training.task)
    if training.function is not None:
        with torch.random.fork_rng(devices=[]):
            return train_by_function(members, training, parts, module, where, journal, task)
    _check_examples(parts)
    device = torch.device(where.device)
    choice = choose_engine(
        where.engine,
        module,
        training,
        device=device,
        population=len(members),
        density=density(members[0].masks) if members[0].masks else 1.0,
    )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _repeatable_convolutions():
        engine = ENGINES[choice.name].make(members, module, parts, training, where)
        loop = Loop(engine, members, training, task, parts, journal, where.ranks)
        kept = [journal.resume(member.key) for member in members]
        snapshots = choose_snapshots(kept, engine.signature, training.first_step, journal.checkpoints)
        if snapshots:
            loop.restore(snapshots)
        resumed_at = loop.step
        if len(set(steps := where.ranks.all_gather(resumed_at))) > 1:
            raise ValueError(f"ranks find snapshots of the steps {steps}: all must see one store")
        loop.run(training.steps if journal.until is None else journal.until, where.snapshot_seconds)
        return loop.outcomes(read_test=journal.until is None, num_steps=loop.step - resumed_at)


@contextmanager
def _repeatable_convolutions() -> Iterator[None]:
    """Let cuDNN take algorithms that give the same numbers every time."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


def _check_examples(parts: Parts) -> None:
    if not len(parts["validation"]) or not len(parts["test"]):
        raise ValueError(
            f"there are {len(parts['validation'])} examples to validate with and {len(parts['test'])} to test with: at "
            "least one of each is needed"
        )
