"""A training: its end, what was measured, and what it leaves on its way."""

import time
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from lth.config import Training
from lth.lineage.engines import engine_to_use
from lth.lineage.files import json_to_bytes, state_digest, weights_from_bytes, weights_to_bytes
from lth.lineage.journal import ReadOnlyJournal, StoreJournal, snapshot_paths
from lth.lineage.nodes import DataSpec, Job, MasksNode, WeightsNode
from lth.lineage.provenance import run_provenance
from lth.lineage.reader import Measured, Reader
from lth.lineage.sources import Sources
from lth.lineage.times import FILE, Times, times_to_bytes
from lth.lineage.work import Diverged, Hooks
from lth.sparsity import State
from lth.training import (
    MOMENTS,
    EngineChoice,
    Member,
    Seeds,
    Where,
    choose_engine,
    read_history,
    train,
)
from lth.training.snapshot import signature_in

if TYPE_CHECKING:
    from lth.lineage.plan import Work


class Trained(Job, WeightsNode):
    """The end of a training from `start` under `masks`, and what was measured.

    Attributes:
        start: the state that it starts from.
        masks: entries that they prune are frozen at their start value.
        data: what it is trained on.
        training: how.
        seeds: of data order and augmentation.
        moments: the training whose last optimizer moments it starts with.
    """

    start: WeightsNode
    masks: MasksNode
    data: DataSpec
    training: Training
    seeds: Seeds
    moments: "Trained | None" = None

    @property
    def alike(self) -> Hashable:
        steps_behind, earlier = 0, self.moments
        while earlier is not None:  # members of a stack must agree in the optimizer's counters
            steps_behind += earlier.steps
            earlier = earlier.moments
        return (self.model.model_dump_json(), self.data, self.training.model_dump_json(), steps_behind)

    @property
    def steps(self) -> int:
        return self.training.steps - self.training.first_step

    @property
    def shared(self) -> bool:
        return self.training.function is None

    @property
    def first_step(self) -> int:
        return self.training.first_step

    @property
    def density(self) -> float:
        planned = self.masks.planned_density
        return 1.0 if planned is None else planned

    def choose_engine(self, sources: Sources, *, engine: str, device: str, population: int) -> EngineChoice:
        return choose_engine(
            engine,
            sources.module(self.model),
            self.training,
            device=torch.device(device),
            population=population,
            density=self.density,
        )

    def at(self, step: int) -> WeightsNode:
        """Return the full state after `step` steps: at its first step the start itself, at its last the training.

        Raises:
            ValueError: if the training does not pass that step.
        """
        from lth.lineage.kinds.checkpoint import Checkpoint

        first, last = self.training.first_step, self.training.steps
        if not first <= step <= last:
            raise ValueError(f"found step {step:,}; this training goes from step {first:,} to {last:,}")
        if step == last:
            return self
        return self.start if step == first else Checkpoint(trained=self, step=step)

    def derive(self, reader: Reader) -> State:
        diverged_at = reader.measured(self)[0].diverged_at
        if diverged_at is not None:
            raise Diverged(f"the training that this stands on diverged at step {diverged_at}")
        return weights_from_bytes(reader.store.read(self, "weights.safetensors"))

    def measured(self, document: dict[str, Any]) -> list[Measured]:
        history = read_history(document)
        best = None if history.best is None else history.best.step
        steps = self.training.steps if self.training.function is None else history.counted
        return [Measured(history.end, history.at_best, best, history.diverged_at, history.start_digest, steps)]

    @classmethod
    def run(cls, works: Sequence["Work"], reader: Reader, where: Where, hooks: Hooks) -> None:
        _run(works, reader, where, hooks)

    def words(self) -> str:
        training = self.training
        masks = "" if self.masks.planned_density == 1 else f" under the masks {self.masks.key[:8]}"
        if training.sparsifier is not None:
            masks = f" and pruned to {100 * training.sparsifier.density:.3g} % by {training.sparsifier.method}"
            if training.sparsifier.release:
                masks = f" with {training.sparsifier.method} on {100 * (1 - training.sparsifier.density):.3g} %"
        first = f" from step {training.first_step}" if training.first_step else ""
        by = f"by {training.function.name}" if training.function else f"with {training.optimizer}"
        return (
            f"{self.start.key[:8]} trained{masks}{first} to step {training.steps} {by} (learning rate "
            f"{training.lr:g}, batches of {training.batch_size})"
        )


def _run(works: Sequence["Work"], reader: Reader, where: Where, hooks: Hooks) -> None:
    first = works[0].job
    assert isinstance(first, Trained)
    ranks = where.ranks
    if not ranks.is_first:
        ranks.barrier()  # until the first one has stored the masks that this training needs
    members = [_member(work.job, reader) for work in works]
    if ranks.is_first:
        ranks.barrier()
    paths = [snapshot_paths(reader.store, work.key) for work in works]
    engine = engine_to_use(
        works,
        [[signature_in(path) for path in some if path.exists()] for some in paths],
        reader,
        engine=where.engine,
        is_forced=hooks.is_forced,
        device=where.device,
    )
    where = replace(where, engine=engine, **_functions(first, reader))
    digests = {member.key: state_digest(member.start) for member in members}
    make_journal = StoreJournal if ranks.is_first else ReadOnlyJournal
    jobs = {work.key: work.job for work in works if isinstance(work.job, Trained)}
    checkpoints = {step for work in works for step in work.checkpoints}
    journal = make_journal(reader, jobs, checkpoints, works[0].until, where, hooks, digests)
    began = time.monotonic()
    outcomes = train(
        members,
        first.training,
        reader.parts(first.data),
        module=reader.module(first.model),
        where=where,
        journal=journal,
    )
    if not ranks.is_first:
        return
    seconds, steps = time.monotonic() - began, outcomes[0].num_steps
    provenance = run_provenance(
        outcomes[0].engine, where.device, len(works), seconds, steps, signature=outcomes[0].signature
    )
    for work, outcome in zip(works, outcomes, strict=True):
        if work.finish:
            _commit(work.job, outcome, reader, provenance, journal.times)
        if hooks.is_ours(work.key):
            reader.store.finish_work(work.key)


def _commit(job: Job, outcome: Any, reader: Reader, provenance: dict[str, Any], times: Times) -> None:
    from lth.lineage.kinds.sparsified import Sparsified

    assert isinstance(job, Trained)
    files = {
        "weights.safetensors": weights_to_bytes(outcome.weights),
        "metrics.json": json_to_bytes(outcome.history.document()),
    }
    if times:
        files[FILE] = times_to_bytes(times)
    if job.training.traces:
        kept = outcome.traces | {f"{MOMENTS}/{entry}": values for entry, values in (outcome.moments or {}).items()}
        flat = {f"{kind}/{name}": value for kind, values in kept.items() for name, value in values.items()}
        files["traces.safetensors"] = weights_to_bytes(flat)
    if outcome.masks is not None:  # before the training itself: where that is finished, they are there
        reader.store.commit_masks(Sparsified(trained=job), outcome.masks, provenance)
    reader.store.commit(job, files, provenance)


def _member(job: Job, reader: Reader) -> Member:
    """Return the network that a job trains, as it starts."""
    assert isinstance(job, Trained)
    start, masks = reader.weights(job.start), reader.masks(job.masks)
    moments = None if job.moments is None else reader.moments(job.moments)  # None: they start at zero
    return Member(job.key, start, masks, job.seeds, moments)


def _functions(job: Trained, reader: Reader) -> dict[str, Any]:
    """Return the user's own functions that a training calls."""
    from lth.models import resolve_function

    functions = reader.sources.functions
    live: dict[str, Any] = {}
    if job.training.function is not None:
        name = job.training.function.name
        live["function"] = functions.get(name) or resolve_function(name)
    if evaluate := job.training.task.arguments.get("evaluate"):
        live["evaluate"] = functions.get(evaluate) or resolve_function(evaluate)
    return live
