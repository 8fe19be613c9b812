"""One piece of planned work, done: start and masks derived, members trained, results put into the store."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lth.data import Split
from lth.lineage.derive import Deriver
from lth.lineage.engines import engine_to_use
from lth.lineage.files import json_to_bytes, weights_to_bytes, write_file
from lth.lineage.nodes import Checkpoint, DataSpec, Sparsified, Trained
from lth.lineage.plan import Work
from lth.lineage.provenance import run_provenance
from lth.lineage.store import Store
from lth.sparsity import Weights
from lth.training import History, Member, Snapshot, snapshot_from_bytes, train
from lth.training.snapshot import engine_in

Progress = Callable[[str, int, History], None]
"""(key, step, what was measured so far)"""


SNAPSHOTS = ("snapshot", "snapshot-before")


class StoreJournal:
    """The journal that keeps snapshots and checkpoints in a store; `engine` is who reports."""

    def __init__(
        self,
        store: Store,
        nodes: dict[str, Trained],
        device: str,
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> None:
        self._store, self._nodes, self._device, self._began = store, nodes, device, time.monotonic()
        self.progress, self.should_stop = progress, should_stop
        self.engine = ""

    def resume(self, key: str) -> list[Snapshot]:
        """The two snapshots in the work folder, newest first."""
        return [snapshot_from_bytes(path.read_bytes(), str(path)) for path in self._snapshots(key) if path.exists()]

    def begun_by(self, key: str) -> list[str]:
        """The signatures of the engines of those snapshots, without reading them whole."""
        return [engine_in(path) for path in self._snapshots(key) if path.exists()]

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None:
        """Puts a snapshot in the work folder; the last one becomes the one before."""
        newest, before = self._snapshots(key)
        if newest.exists():
            newest.replace(before)
        write_file(newest, snapshot.to_bytes())

    def save_checkpoint(self, key: str, step: int, weights: Weights) -> None:
        """Puts a Checkpoint into the store."""
        node = Checkpoint(trained=self._nodes[key], step=step)
        if not self._store.has(node):
            seconds = time.monotonic() - self._began
            provenance = run_provenance(self.engine, self._device, len(self._nodes), seconds, step)
            self._store.commit(node, {"weights.safetensors": weights_to_bytes(weights)}, provenance)

    def _snapshots(self, key: str) -> list[Path]:
        return [self._store.work_folder(key) / name for name in SNAPSHOTS]


def execute(
    works: Sequence[Work],
    deriver: Deriver,
    splits: dict[DataSpec, Split],
    *,
    engine: str,
    is_forced: bool,
    device: str,
    snapshot_seconds: float,
    progress: Progress,
    should_stop: Callable[[], bool],
    from_larger_stack: bool = False,
) -> None:
    """Does some works as one population: they must agree in model, data, recipe, first step and `until`.

    Args:
        works: what to do.
        deriver: derives starts and masks, and holds the store.
        splits: data made ready before, by its spec; filled as needed.
        engine: `torch` or `sparse`.
        is_forced: whether it is to train also what another one began.
        device: `cpu` or a CUDA device.
        snapshot_seconds: time between snapshots.
        progress: told how far each training is.
        should_stop: asked now and then.
        from_larger_stack: go on from snapshots of a larger stack too, which memory did not suffice for.
    Raises:
        Interrupted: if asked to stop; snapshots are kept.
        Diverged: if a mask stands on a diverged training.
        ValueError: if the engine cannot train them.
        StoreError: if the store cannot be read or written.
    """
    first = works[0].trained
    if first.data not in splits:
        splits[first.data] = deriver.sources.split(first.data)
    members = [member_of(work, deriver) for work in works]
    nodes = {work.key: work.trained for work in works}
    journal = StoreJournal(deriver.store, nodes, device, progress, should_stop)
    journal.engine = engine_to_use(
        works,
        [journal.begun_by(work.key) for work in works],
        deriver.store,
        deriver.sources,
        engine=engine,
        is_forced=is_forced,
        device=device,
    )
    began = time.monotonic()
    outcomes = train(
        members,
        deriver.sources.module(first.model),
        splits[first.data],
        first.recipe,
        first_step=first.first_step,
        checkpoints={step for work in works for step in work.checkpoints},
        until=works[0].until,
        journal=journal,
        snapshot_seconds=snapshot_seconds,
        device=device,
        sparsifier=first.sparsifier,
        traces=first.traces,
        engine=journal.engine,
        from_larger_stack=from_larger_stack,
    )
    seconds, steps = time.monotonic() - began, outcomes[0].num_steps
    provenance = run_provenance(outcomes[0].engine, device, len(works), seconds, steps, signature=outcomes[0].signature)
    for work, outcome in zip(works, outcomes, strict=True):
        if work.finish:
            files = {
                "weights.safetensors": weights_to_bytes(outcome.weights),
                "metrics.json": json_to_bytes(outcome.metrics),
            }
            if work.trained.traces:
                files["traces.safetensors"] = weights_to_bytes(
                    {f"{kind}/{name}": value for kind, trace in outcome.traces.items() for name, value in trace.items()}
                )
            if outcome.masks is not None:  # before the training itself: where that is finished, they are there
                deriver.store.commit_masks(Sparsified(trained=work.trained), outcome.masks, provenance)
            deriver.store.commit(work.trained, files, provenance)
        deriver.store.finish_work(work.key)


def member_of(work: Work, deriver: Deriver) -> Member:
    """The network that a work trains, as it starts."""
    trained = work.trained
    return Member(
        work.key,
        deriver.weights(trained.start),
        deriver.masks(trained.masks),
        trained.seeds,
        _moments(trained, deriver),
    )


def _moments(trained: Trained, deriver: Deriver) -> dict[str, Weights] | None:
    """The optimizer moments that a training starts with; None where they start at zero."""
    if trained.moments is None:
        return None
    prefix = "moments/"
    traces = deriver.store.read_traces(trained.moments)
    return {kind.removeprefix(prefix): values for kind, values in traces.items() if kind.startswith(prefix)}
