"""Which engine trains what: chosen before anything starts, and kept where a training has begun.

`engine_choices` asks each job once, before a plan is shown or a build starts (`Execution.choices`). The name is handed
on with the work; where the training begins, `engine_to_use` looks whether another engine has begun it, and `train`
checks that the one it is given can train the live network. All of them ask `lth.training.choose_engine`.

The engine is no part of any key. A training goes on with the engine that began it, and a checkpoint of a finished
training is taken by the engine that finished it, so that its numbers lie on one path.
"""

import warnings
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

import torch

from lth.lineage.nodes import Job
from lth.lineage.sources import Sources
from lth.training.engines.choose import CROSSOVERS, EngineChoice
from lth.training.engines.linear import check_linear_path
from lth.training.engines.signature import Signature

if TYPE_CHECKING:
    from lth.lineage.plan import Work
    from lth.lineage.reader import Reader


def engine_choices(
    jobs: Iterable[Job], sources: Sources, *, engine: str, device: str, population: int
) -> dict[str, EngineChoice]:
    """Return the engine of each training among some jobs, and why, by its key.

    Args:
        jobs: what is to be done.
        sources: make their modules.
        engine: an entry of ENGINES, or `auto`.
        device: `cpu` or a CUDA device.
        population: members stacked in one program.
    Raises:
        ValueError: if the engine is unknown, or cannot train one of them, or LTH_LINEAR has an unknown value.
    """
    check_linear_path()
    by_kind: dict[Hashable, EngineChoice | None] = {}
    choices = {}
    for job in jobs:
        passed = None if job.density is None else sum(job.density > crossover for crossover in CROSSOVERS)
        kind = (type(job), job.alike, passed)
        if kind not in by_kind:
            by_kind[kind] = job.choose_engine(sources, engine=engine, device=device, population=population)
        if (choice := by_kind[kind]) is not None:
            choices[job.key] = choice
    return choices


def engine_to_use(
    works: "Sequence[Work]",
    begun_by: Sequence[Sequence[str]],
    reader: "Reader",
    *,
    engine: str,
    is_forced: bool,
    device: str,
) -> str:
    """Return the engine that trains some works as one population: the one that began them, unless another is forced.

    Args:
        works: all of one kind.
        begun_by: signatures of each work's snapshots (`Snapshot.signature`), newest first.
        reader: tells which engine finished a training that lacks a checkpoint, and makes the module.
        engine: an entry of ENGINES, or `yours`: what trains them where none has begun.
        is_forced: whether it does so in any case. It starts over what another one began, and a warning says so.
        device: `cpu` or a CUDA device.
    """
    finished_by = _finished_by(works, reader)
    earlier = finished_by or _engine_of(begun_by, device)
    if earlier is None or earlier == engine:
        return engine
    if is_forced:
        what = "took no checkpoint on its way, and one is taken" if finished_by else "was stopped, and starts over"
        warnings.warn(
            f"a training by the {earlier} engine {what} by the {engine} engine, as requested; without --engine, "
            f"{earlier} would go on",
            stacklevel=2,
        )
        return engine
    try:
        works[0].job.choose_engine(reader.sources, engine=earlier, device=device, population=len(works))
    except ValueError as error:  # it was begun in another version, say, or on another machine
        what = "takes a checkpoint that is missing" if finished_by else "starts over"
        warnings.warn(
            f"a training by the {earlier} engine goes to the {engine} engine, which {what}: here {error}", stacklevel=2
        )
        return engine
    return earlier


def _finished_by(works: "Sequence[Work]", reader: "Reader") -> str | None:
    """Return the engine that finished trainings whose checkpoints alone are missing; None if they are not finished."""
    engines = {None if work.finish else reader.store.manifest(work.key)["provenance"].get("engine") for work in works}
    return engines.pop() if len(engines) == 1 else None


def _engine_of(begun_by: Sequence[Sequence[str]], device: str) -> str | None:
    """Return the engine of the newest snapshots that a population of this size on this device can go on from."""
    common = set(begun_by[0]).intersection(*begun_by[1:])
    for text in begun_by[0]:
        signature = Signature.parse(text) if text in common else None
        if signature and (signature.device, signature.size) == (torch.device(device).type, len(begun_by)):
            return signature.engine
    return None
