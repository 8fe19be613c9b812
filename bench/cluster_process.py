"""One process of a simulated cluster: the real Agenda, Leases and journal; trainings alone are made up."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lth.lineage import MasksNode, Node, Trained, Work
from lth.lineage.agenda import Agenda, Unobserved
from lth.lineage.files import json_to_bytes, weights_to_bytes
from lth.lineage.journal import StoreJournal
from lth.lineage.lease import HEARTBEAT_SECONDS, LeaseLost, Leases
from lth.lineage.process import Process
from lth.lineage.reader import Reader
from lth.lineage.times import FILE, times_to_bytes
from lth.lineage.work import Hooks
from lth.training import History, Snapshot, Where

if TYPE_CHECKING:
    from bench.cluster import Cluster

TINY = {"w": torch.zeros(1)}


@dataclass(slots=True)
class Training:
    """A training that a process says it does.

    Attributes:
        work: what is to do.
        journal: keeps its snapshots.
        first: the step at which it went on here.
        began: when, by the virtual clock; later by what the process slept through since.
        saved: step of its last snapshot.
    """

    work: Work
    journal: StoreJournal
    first: float
    began: float
    saved: float


class Builder:
    """A process that builds what the cluster wants, as `lth.lineage.build` does, in virtual time.

    Args:
        cluster: clock, event queue and store.
        slot: the GPU that it has.
        pid: its number.
    """

    def __init__(self, cluster: "Cluster", slot: int, pid: int) -> None:
        self.cluster, self.slot = cluster, slot
        self.is_alive, self.asleep_until = True, 0.0
        self.process = Process(
            f"node-{slot // 8}", pid, f"process-{pid}", lambda: cluster.now, cluster.stamp, cluster.is_running
        )
        self.leases = Leases(process=self.process)
        self.agenda = Agenda(cluster.plan(), cluster.store, self.leases, Unobserved())
        self.steps_a_second = cluster.steps_a_second * cluster.draws.uniform(0.7, 1.4)
        self.training: Training | None = None
        cluster.at(cluster.now, self, self.look)
        cluster.at(cluster.now + HEARTBEAT_SECONDS, self, self.beat)

    def beat(self) -> None:
        """Stamp the leases."""
        if self.agenda.is_empty:
            return
        with self.cluster.calls.by("heartbeats"):
            self.leases.beat()
        self.cluster.at(self.cluster.now + HEARTBEAT_SECONDS, self, self.beat)

    def look(self) -> None:
        """Take a work, or come back when the agenda says so."""
        cluster = self.cluster
        with cluster.calls.by("looking for work"):
            works = self.agenda.claim(1)
        if works:
            self._start(works[0])
        elif self.agenda.pending:
            cluster.at(cluster.now + max(0.2, self.agenda.seconds_to_look), self, self.look)

    def _start(self, work: Work) -> None:
        cluster, job = self.cluster, work.job
        assert isinstance(job, Trained)
        cluster.starts(work.key, self)
        hooks = Hooks(is_ours=self.agenda.is_ours)
        reader = Reader(cluster.store, cluster.sources)
        with cluster.calls.by("what trainings stand on"):
            self._read(job.start)
            self._read(job.masks)
        with cluster.calls.by("snapshots"):
            journal = StoreJournal(reader, {job.key: job}, work.checkpoints, work.until, Where(), hooks, {})
            snapshot = next(iter(journal.resume(work.key)), None)
        step = float(job.first_step if snapshot is None else snapshot.step)
        self.training = Training(work, journal, step, cluster.now, step)
        cluster.at(cluster.now + cluster.snapshot_seconds, self, self._save, self.training)
        cluster.at(cluster.now + self._seconds_left(), self, self._end, self.training)

    def _read(self, node: Node) -> None:
        """Read what is stored of a node's derivation; keep masks that are not yet there."""
        store = self.cluster.store
        if isinstance(node, Trained) or node.made_by is not None:
            store.read(node, "weights.safetensors")
        elif isinstance(node, MasksNode) and node.stored and store.has(node):
            store.read(node, "masks.safetensors")
        else:
            for each in node.inputs:
                self._read(each)
            if isinstance(node, MasksNode) and node.stored:
                content = weights_to_bytes(TINY)
                store.commit(node, {"masks.safetensors": content, "shapes.json": b"{}\n"}, {})

    @property
    def step(self) -> float:
        """Where its training is."""
        assert self.training is not None
        awake = max(self.cluster.now, self.asleep_until)  # its beginning was put off by the sleep as a whole
        return self.training.first + (awake - self.training.began) * self.steps_a_second

    def _last(self, work: Work) -> int:
        return work.job.first_step + work.job.steps if work.until is None else work.until

    def _seconds_left(self) -> float:
        assert self.training is not None
        return max(0.0, (self._last(self.training.work) - self.step) / self.steps_a_second)

    def _save(self, training: Training) -> None:
        if training is not self.training:
            return
        if self._has_saved():
            self.cluster.at(self.cluster.now + self.cluster.snapshot_seconds, self, self._save, training)
        else:
            self.cluster.notices(training.work.key, self)
            self.agenda.lose(training.work.key)
            self._leave()
            self.look()

    def _has_saved(self) -> bool:
        """Save a snapshot; return False if the lease is lost."""
        assert self.training is not None
        training, step = self.training, int(self.step)
        try:
            with self.cluster.calls.by("snapshots"):
                training.journal.save_snapshot(training.work.key, Snapshot(step, History(), TINY, "simulated"))
        except LeaseLost:
            return False
        training.saved = step
        return True

    def _end(self, training: Training) -> None:
        if training is not self.training:
            return
        if (left := self._seconds_left()) > 0.001:  # it slept meanwhile
            self.cluster.at(self.cluster.now + left, self, self._end, training)
            return
        work, job, store = training.work, training.work.job, self.cluster.store
        files = {
            "weights.safetensors": weights_to_bytes(TINY),
            "metrics.json": json_to_bytes({"diverged_at": None}),
            FILE: times_to_bytes({1: 1.0}),
        }
        with self.cluster.calls.by("results"):
            for step in work.checkpoints:
                training.journal.save_checkpoint(work.key, step, TINY)
            if work.finish:
                store.commit(job, files, {"engine": "simulated"})
            if self.agenda.is_ours(work.key):
                store.finish_work(work.key)
            self.agenda.finish(work.key)
        self.cluster.ends(work, self)
        self._leave()
        self.look()

    def _leave(self) -> None:
        """Count what was done of the training, and be without one."""
        assert self.training is not None
        self.cluster.steps_done += min(self.step, self._last(self.training.work)) - self.training.first
        self.cluster.leaves(self.training.work.key, self)
        self.training = None

    def kill(self) -> None:
        """End at once: no snapshot, no release."""
        if self.training is not None:
            self.cluster.steps_killed += self.step - self.training.saved
            self._leave()
        self.is_alive = False

    def stop(self) -> None:
        """End as asked: save a snapshot, give the lease back."""
        if self.training is not None:
            key = self.training.work.key
            if self._has_saved():
                self.agenda.release(key)
            self._leave()
        self.is_alive = False

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while, no heartbeat either: a stalled disk, a suspended machine."""
        self.asleep_until = self.cluster.now + seconds
        if self.training is not None:
            self.training.began += seconds
