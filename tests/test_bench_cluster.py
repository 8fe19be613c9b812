"""A small cluster on paper: killed, stopped and stalled processes train nothing twice and finish everything."""

import os
import random
from pathlib import Path

import pytest

from bench.calls import Calls, counted
from bench.cluster import Cluster, Scale, searches, simulated
from lth.lineage import Store, Unobserved, plan
from lth.lineage.agenda import Agenda
from lth.lineage.backoff import MOST_SECONDS, WAIT_SECONDS, Backoff
from lth.lineage.lease import Leases
from lth.lineage.process import Process

SCALE = Scale(studies=1, gpus=8, seconds=100.0, kills=8.0, stops=8.0, sleeps=8.0)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """64 trainings, 8 processes, each disturbed about every two and a half minutes."""
    return simulated(SCALE, tmp_path_factory.mktemp("store"), *searches(1, levels=5))


def test_everything_is_trained_once(cluster: Cluster) -> None:
    assert len(cluster.finished) == len({job.key for job in cluster.targets}) == 64
    assert all(cluster.store.has(job) for job in cluster.targets)
    assert cluster.trained_twice == 0
    assert set(cluster.finished.values()) == {1}
    assert min(cluster.happened[what] for what in ("killed", "stopped", "put to sleep")) >= 3


def test_sleepers_notice_that_they_lost_their_lease(cluster: Cluster) -> None:
    assert cluster.happened["sleepers that saw it"] >= 1
    assert cluster.happened["seconds awake before that"] == 0
    assert cluster.store.unfinished() == set()


def test_little_is_lost(cluster: Cluster) -> None:
    """A kill costs what was done since the last snapshot; a stop costs nothing."""
    most = cluster.happened["killed"] * SCALE.snapshot_seconds * 1.4 * cluster.steps_a_second
    assert 0 < cluster.steps_killed < most
    assert cluster.steps_done - sum(cluster.needed.values()) < 1.5 * most


def test_the_file_system_is_asked_seldom(cluster: Cluster) -> None:
    assert cluster.calls.total / cluster.now / SCALE.gpus < 2.5
    assert "lock" not in {kind for kinds in cluster.calls.by_origin.values() for kind in kinds}


def test_the_same_seed_gives_the_same_history(cluster: Cluster, tmp_path: Path) -> None:
    again = simulated(SCALE, tmp_path, cluster.targets, cluster.sources)
    assert (again.now, again.happened, again.calls.total) == (cluster.now, cluster.happened, cluster.calls.total)


def test_calls_are_counted_where_they_are_made(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    here, calls = tmp_path / "here", Calls(tmp_path / "here", lambda: 7.5)
    with counted(calls):
        here.mkdir()
        with calls.by("writing"):
            (here / "a").write_text("a")
            os.replace(here / "a", here / "b")
        assert (here / "b").exists()
        assert os.listdir(tmp_path / "elsewhere") == []
    (here / "c").touch()
    assert calls.by_origin == {"other": {"mkdir": 1, "stat": 1}, "writing": {"open": 1, "rename": 1}}
    assert calls.by_second == {7: 4}


def test_waits_grow_and_end_at_a_limit() -> None:
    wait = Backoff(random.Random(0))
    drawn = [wait.next() for _ in range(50)]
    assert 0.5 * WAIT_SECONDS <= drawn[0] <= WAIT_SECONDS
    assert all(0.5 * MOST_SECONDS <= each <= MOST_SECONDS for each in drawn[-30:])
    assert len(set(drawn[-30:])) == 30
    wait.reset()
    assert wait.next() <= WAIT_SECONDS


def test_a_process_that_waits_leaves_the_store_alone(cluster: Cluster, tmp_path: Path) -> None:
    """All that can start is another's, for ten minutes; then it is let go, and soon found."""
    store, other, now = Store(tmp_path), Leases(), [0.0]
    todo = plan(cluster.targets, store)
    ready = [store.work_folder(work.key) for work in todo.works if not work.needs]
    assert len(ready) == 4
    assert all(map(other.acquire, ready))
    process = Process(machine="elsewhere", token="waits", seconds=lambda: now[0])
    agenda = Agenda(todo, store, Leases(stale_seconds=1e9, process=process), Unobserved())
    with counted(Calls(tmp_path, lambda: now[0])) as calls:
        while now[0] < 600:
            assert agenda.claim(1) == []
            before = calls.total
            assert agenda.claim(1) == []
            assert calls.total == before  # at once again: nothing is asked
            assert agenda.seconds_to_look > 0
            now[0] += agenda.seconds_to_look
    assert 10 < calls.total < 600
    other.release(ready[-1])
    until = now[0] + 2 * MOST_SECONDS
    while not (works := agenda.claim(1)):
        now[0] += agenda.seconds_to_look
        assert now[0] < until
    assert store.work_folder(works[0].key) == ready[-1]
