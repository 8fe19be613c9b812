"""`train`: one interface to all engines."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from lth.config.recipe import Recipe
from lth.config.sparsifier import Sparsifier
from lth.data.splits import Split
from lth.sparsity.metrics import density
from lth.training.engines.choose import choose_engine
from lth.training.engines.engine import Engine, Outcome
from lth.training.engines.loop import Loop
from lth.training.engines.resume import choose_snapshots
from lth.training.engines.torch_engine import TorchEngine
from lth.training.journal import Journal, NoJournal
from lth.training.population import Member


def _sparse_engine(*args: Any, **options: Any) -> Engine:
    from lth.training.engines.sparse.engine import SparseEngine  # loads numba, which other trainings need not wait for

    return SparseEngine(*args, **options)


ENGINES: dict[str, Callable[..., Engine]] = {"torch": TorchEngine, "sparse": _sparse_engine}
"""By name; each is made as `Engine` says."""


@contextmanager
def _repeatable_convolutions() -> Iterator[None]:
    """cuDNN takes algorithms that give the same numbers every time."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


def _check_examples(split: Split, batch_size: int) -> None:
    num_train, num_validation, num_test = len(split.y_train), len(split.y_validation), len(split.y_test)
    if batch_size > num_train:
        raise ValueError(f"batch size {batch_size} is larger than the {num_train} training examples: take less")
    if not num_validation or not num_test:
        raise ValueError(
            f"found {num_validation} examples to validate with and {num_test} to test with: one of each is the least"
        )


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
    engine: str = "torch",
    from_larger_stack: bool = False,
) -> list[Outcome]:
    """Each member's end state and metrics, after training all of them side by side.

    After every step a pruned entry is bit-equal to its start value (a zero may lose its sign), or to the value that a
    sparsifier gave it when it pruned it. Validation is measured every `recipe.evaluate_every` steps, the test set once,
    at the end: for the final weights and for those of the early-stopping iteration. A member whose loss is not finite
    is stopped and its step named in the metrics; the others go on. The optimizer starts fresh, unless members bring
    moments.

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
        engine: what moves the weights: entry of ENGINES, or `auto` (see `choose_engine`).
        from_larger_stack: go on from snapshots of a larger stack too, which memory did not suffice for. Rounding and
            random draws are then neither those of the one stack nor those of the other.
    Raises:
        Interrupted: if the journal asks to stop; snapshots are saved first.
        ValueError: if starting weights, masks or moments do not fit the module and the optimizer, or the engine, the
            sparsifier or a trace is not possible.
    """
    _check_examples(split, recipe.batch_size)
    choice = choose_engine(
        engine,
        module,
        recipe,
        device=device,
        population=len(members),
        sparsifier=sparsifier,
        traces=traces,
        density=density(members[0].masks) if members[0].masks else 1.0,
    )
    make = ENGINES[choice.name]
    journal = journal or NoJournal()
    devices = [torch.device(device)] if device != "cpu" else []
    with torch.random.fork_rng(devices=devices), _repeatable_convolutions():
        running = make(
            members,
            module,
            split,
            recipe,
            first_step=first_step,
            device=torch.device(device),
            sparsifier=sparsifier,
            traces=traces,
        )
        loop = Loop(running, members, recipe, first_step, journal)
        kept = [journal.resume(member.key) for member in members]
        snapshots = choose_snapshots(
            kept, running.signature, first_step, checkpoints, from_larger_stack=from_larger_stack
        )
        if snapshots:
            loop.restore(snapshots)
        resumed_at = loop.step
        loop.run(set(checkpoints), recipe.steps if until is None else until, snapshot_seconds)
        return loop.results(read_test=until is None, num_steps=loop.step - resumed_at)
