"""A cluster on paper: 10,000 trainings over 500 GPUs with preemptions, on the real plan, agenda and leases.

Each GPU has a process with an Agenda and Leases of its own over one real store folder, under a virtual clock. A
training takes virtual time, saves real (tiny) snapshots, and commits a tiny result. Processes are killed, stopped and
stalled at random moments; others start in their place. A tenth: `python -m bench.cluster --studies 10 --gpus 50`.
"""

import argparse
import heapq
import itertools
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from bench.calls import Calls, counted
from bench.cluster_process import Builder
from bench.ratio import Effort, Row
from lth.data import load_data
from lth.lineage import Job, Plan, Sources, Store, Work, plan
from lth.studies.find_ticket import FIND_TICKET
from lth.studies.find_ticket_settings import FindTicket
from lth.studies.prepare import prepare

SHARED_SECONDS = 300.0
"""A plan is shared by processes that start within so much time, and its calls are counted for each."""
PARAMETERS = {"LeNet-300-100": 266_610, "GPT-2 small": 124_439_808}


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the cluster is, and what befalls it.

    Attributes:
        studies: searches of 100 trainings each (4 replicates of 8 levels and a dense network, with two controls).
        gpus: one process each.
        seconds: of a training, on a GPU of mean speed.
        snapshot_seconds: between snapshots.
        kills: of each process in an hour, without a word.
        stops: of each process in an hour, as asked.
        sleeps: of each process in an hour, for half a minute to five.
        seed: of all that happens.
    """

    studies: int = 100
    gpus: int = 500
    seconds: float = 120.0
    snapshot_seconds: float = 10.0
    kills: float = 1.0
    stops: float = 1.0
    sleeps: float = 0.5
    seed: int = 0


TINY = Scale(studies=1, gpus=8, seconds=120.0, kills=4.0, stops=4.0, sleeps=4.0)


class Cluster:
    """The event queue, its clock, and what happened.

    Args:
        scale: how large.
        targets: what is to be built.
        sources: of the studies.
        root: the store's folder.
    """

    def __init__(self, scale: Scale, targets: list[Job], sources: Sources, root: Path) -> None:
        self.scale, self.targets, self.sources, self.store = scale, targets, sources, Store(root)
        self.now, self.draws = 1.0, random.Random(scale.seed)
        self.snapshot_seconds = scale.snapshot_seconds
        self.steps_a_second = targets[0].steps / scale.seconds
        self.calls = Calls(root, lambda: self.now)
        self._began = time.time()
        self._events: list[tuple[float, int, Builder | None, Callable[..., None], tuple[Any, ...]]] = []
        self._order, self._pids = itertools.count(), itertools.count(1)
        self._builders: dict[int, Builder] = {}
        self._plan: tuple[float, Plan, Counter[str]] | None = None
        self.at_work: dict[str, list[Builder]] = {}
        self.finished: Counter[str] = Counter()
        self.needed: dict[str, int] = {}
        self.steps_done = self.steps_killed = 0.0
        self.happened: Counter[str] = Counter()

    def at(self, when: float, builder: Builder | None, act: Callable[..., None], *arguments: Any) -> None:
        """Let something happen at a time, to a process while it lives."""
        heapq.heappush(self._events, (when, next(self._order), builder, act, arguments))

    def stamp(self, path: Path) -> float:
        """Stamp a file with the virtual time; as many calls as in truth."""
        stamped = self._began + self.now
        os.utime(path, (stamped, stamped))
        return os.stat(path).st_mtime

    def is_running(self, pid: int) -> bool:
        """Whether a process is there."""
        return pid in self._builders

    def plan(self) -> Plan:
        """What a process that starts now plans."""
        if self._plan is None or self.now - self._plan[0] > SHARED_SECONDS:
            before = self.calls.by_origin["plans"].copy()
            with self.calls.by("plans"):
                self.store.check_writable()
                found = plan(self.targets, self.store)
            self._plan = self.now, found, self.calls.by_origin["plans"] - before
            self.needed = self.needed or {work.key: work.steps for work in found.works}
        else:
            self.calls.add(self._plan[2], "plans")
        return self._plan[1]

    def run(self) -> None:
        """Go on until everything is built.

        Raises:
            RuntimeError: if it is not after ten times as long as it should take.
        """
        for slot in range(self.scale.gpus):
            self.at(self.now + self.draws.uniform(0, 60), None, self._begin, slot)
        limit = 10 * self.scale.seconds * (1 + len(self.targets) / self.scale.gpus) + 3600
        while self._events and len(self.finished) < len(self.targets):
            self.now, _, builder, act, arguments = heapq.heappop(self._events)
            if self.now > limit:
                raise RuntimeError(f"after {self.now:,.0f} virtual seconds {len(self.finished):,} are done")
            if builder is not None and not builder.is_alive:
                continue
            if builder is not None and builder.asleep_until > self.now:
                self.at(builder.asleep_until, builder, act, *arguments)
                continue
            act(*arguments)

    def _begin(self, slot: int) -> None:
        pid = next(self._pids)
        self._builders[pid] = builder = Builder(self, slot, pid)
        for rate, act in ((self.scale.kills, self._kill), (self.scale.stops, self._stop), (self.scale.sleeps, _sleep)):
            if rate:
                self.at(self.now + self.draws.expovariate(rate / 3600), builder, act, builder)

    def _kill(self, builder: Builder) -> None:
        builder.kill()
        self._replace(builder, "killed")

    def _stop(self, builder: Builder) -> None:
        builder.stop()
        self._replace(builder, "stopped")

    def _replace(self, builder: Builder, what: str) -> None:
        self.happened[what] += 1
        del self._builders[builder.process.pid]
        self.at(self.now + self.draws.uniform(30, 300), None, self._begin, builder.slot)

    def starts(self, key: str, builder: Builder) -> None:
        """Take note that a process begins a training."""
        others = self.at_work.setdefault(key, [])
        self.happened["two awake at one training"] += any(each.asleep_until <= self.now for each in others)
        self.happened["taken over from a sleeper"] += bool(others)
        others.append(builder)

    def leaves(self, key: str, builder: Builder) -> None:
        """Take note that it no longer works on it."""
        self.at_work[key].remove(builder)

    def notices(self, key: str, builder: Builder) -> None:
        """Take note that a process that slept sees that it has lost its lease."""
        self.happened["sleepers that saw it"] += 1
        self.happened["seconds awake before that"] += round(self.now - builder.asleep_until)

    def ends(self, work: Work, builder: Builder) -> None:
        """Take note that a training is finished."""
        self.finished[work.key] += work.finish

    @property
    def trained_twice(self) -> int:
        """Trainings that were finished twice, or begun while another process that was awake was at them."""
        return sum(count > 1 for count in self.finished.values()) + self.happened["two awake at one training"]


def _sleep(builder: Builder) -> None:
    builder.cluster.happened["put to sleep"] += 1
    builder.sleep(builder.cluster.draws.uniform(30, 300))


def perceptron() -> nn.Module:
    """A network whose size does not matter here."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def searches(number: int, levels: int = 8) -> tuple[list[Job], Sources]:
    """The trainings of so many searches, each with other seeds."""
    settings: dict[str, Any] = {
        "levels": levels,
        "rate": 0.2,
        "replicates": 4,
        "duration": "1000it",
        "rewind_to": "100it",
        "lr": 0.01,
    }
    settings |= {"batch_size": 60, "evaluate_every": 100, "model": "perceptron", "data": "digits"}
    data = load_data("digits")
    made = [prepare(FIND_TICKET, FindTicket(**settings, seed=seed), perceptron, data) for seed in range(number)]
    return [job for each in made for job in each.targets], made[0].sources


def simulated(scale: Scale, root: Path, targets: list[Job], sources: Sources) -> Cluster:
    """A cluster that has built everything, in a folder."""
    cluster = Cluster(scale, targets, sources, root)
    with counted(cluster.calls):
        cluster.run()
    return cluster


def cluster_rows(effort: Effort) -> Iterator[Row]:
    """What happened, what it cost the file system, and what the store holds."""
    yield from scale_rows(TINY if effort.is_tiny else Scale())


def scale_rows(scale: Scale) -> Iterator[Row]:
    """The same for a cluster of any size."""
    began = time.perf_counter()
    targets, sources = searches(scale.studies)
    yield _row(f"{len(targets):,} trainings derived", "seconds", time.perf_counter() - began)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="lth-cluster-", dir=memory if memory.is_dir() else None) as folder:
        began = time.perf_counter()
        cluster = simulated(scale, Path(folder), targets, sources)
        yield _row("simulated", "seconds", time.perf_counter() - began)
        yield from _what_happened(cluster)
        yield from _calls(cluster)
        yield from _stored(cluster)


def _what_happened(cluster: Cluster) -> Iterator[Row]:
    yield _row(f"trainings finished by {cluster.scale.gpus} GPUs", "trainings", len(cluster.finished))
    yield _row("trained twice (goal: none)", "trainings", cluster.trained_twice)
    yield _row("virtual time", "hours", cluster.now / 3600)
    needed = sum(cluster.needed.values())
    yield _row("steps lost by kills, of all that are needed", "%", 100 * cluster.steps_killed / needed)
    yield _row("steps done more than needed, by kills and sleepers", "%", 100 * (cluster.steps_done / needed - 1))
    possible = cluster.scale.gpus * cluster.now * cluster.steps_a_second
    yield _row("of the steps that undisturbed GPUs could do in that time", "%", 100 * needed / possible)
    for what, count in sorted(cluster.happened.items()):
        yield _row(what, "", count)


def _calls(cluster: Cluster) -> Iterator[Row]:
    calls, seconds = cluster.calls, cluster.now
    yield _row("calls to the file system, mean", "a second", calls.total / seconds)
    yield _row("calls of a process, mean", "a second", calls.total / seconds / cluster.scale.gpus)
    yield _row("calls to the file system, worst second", "calls", max(calls.by_second.values()))
    for origin, kinds in sorted(calls.by_origin.items(), key=lambda each: -each[1].total()):
        words = ", ".join(f"{kind} {count / seconds:.3g}" for kind, count in kinds.most_common())
        yield _row(f"  {origin}: {words}"[:80], "a second", kinds.total() / seconds, dict(kinds))


def _stored(cluster: Cluster) -> Iterator[Row]:
    """Files that the store holds, and their bytes if the networks were of these sizes, float32 and Adam."""
    objects = [set(os.listdir(cluster.store.folder(key))) for key in cluster.store.keys()]  # noqa: SIM118
    yield _row("files of finished results", "files", sum(map(len, objects)))
    weights = sum("weights.safetensors" in names for names in objects)
    masks = sum("masks.safetensors" in names for names in objects)
    yield _row(f"states {weights:,}, masks {masks:,}, all results", "results", len(objects))
    for name, parameters in PARAMETERS.items():
        kept, packed = 4 * parameters * weights / 1e9, parameters / 8 * masks / 1e9
        running = (
            2 * 4 * 4 * parameters * cluster.scale.gpus / 1e9
        )  # two snapshots: weights, the best ones, two moments
        yield _row(f"{name}: states {kept:,.1f}, masks {packed:,.1f}, at most as snapshots {running:,.1f}", "GB", kept)


def _row(what: str, unit: str, value: float, labels: dict[str, Any] | None = None) -> Row:
    return Row(what, unit, (float(value),), is_cost=True, labels=labels or {})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.cluster")
    parser.add_argument("--studies", type=int, default=100, help="searches of 100 trainings each")
    parser.add_argument("--gpus", type=int, default=500)
    options = parser.parse_args()
    for row in scale_rows(Scale(studies=options.studies, gpus=options.gpus)):
        print(row.line(), flush=True)
