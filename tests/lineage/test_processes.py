"""Real processes: killed at random moments, interrupted, and two at once over one store."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from build_study import process_study
from builds import assert_same_content, built, files_in

from lth.lineage import Store, Trained, derivation
from lth.studies.prepare import Study

Start = Callable[..., "subprocess.Popen[str]"]
SCRIPT = Path(__file__).parent / "build_study.py"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Store]:
    """The same study, built here without a break."""
    made = process_study()
    return made, built(tmp_path_factory.mktemp("unbroken"), made)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the script; whatever still runs at the end of the test is killed."""
    processes: list[subprocess.Popen[str]] = []

    def run(store: Path, workers: int = 2) -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPT), str(store), str(workers)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def children(pid: int) -> list[int]:
    """The living child processes of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended while we looked
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(path.parent.name))
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(what: str, happens: Callable[[], bool], seconds: float = 200.0) -> None:
    """Returns once it happens; fails after some seconds."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.01)


def test_killed_at_random_moments_the_numbers_are_the_same(
    start: Start, unbroken: tuple[Study, Store], tmp_path: Path
) -> None:
    """A kill -9 of the whole build, then of a worker: orphaned workers end by themselves, the killed worker is
    reported, and what the last build leaves is bit-identical to an unbroken one."""
    made, whole = unbroken
    trained, moments = {node.key for node in made.targets}, random.Random(0)
    for victim in ("build", "worker"):
        process = start(tmp_path)
        assert process.stdout is not None
        assert process.stdout.readline().strip() in trained  # the workers are there, and the first training starts
        time.sleep(moments.uniform(0.1, 0.5))
        assert process.poll() is None
        workers = children(process.pid)
        os.kill(process.pid if victim == "build" else workers[moments.randrange(2)], signal.SIGKILL)
        assert process.wait(timeout=200) == (-signal.SIGKILL if victim == "build" else 1)
        wait_for("the end of the workers", lambda pids=workers: not any(map(is_alive, pids)))
    assert start(tmp_path).wait(timeout=200) == 0
    assert_same_content(Store(tmp_path), whole, *made.targets)
    assert {path.name for path in (tmp_path / "work").iterdir()} <= {".clock"}


def test_two_builds_at_once_train_each_network_once(
    start: Start, unbroken: tuple[Study, Store], tmp_path: Path
) -> None:
    made, whole = unbroken
    processes = [start(tmp_path, workers) for workers in (1, 0)]
    started = [process.communicate(timeout=200)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    trained = [node.key for node in derivation(*made.targets).values() if isinstance(node, Trained)]
    assert sorted(set(started[0] + started[1])) == sorted(trained)
    assert_same_content(Store(tmp_path), whole, *made.targets)
    assert [name for name in files_in(tmp_path / "work") if name != ".clock"] == []
    # A process in which networks train one at a time tells of a start, and may give the network back, once per wave.
    assert len(set(started[0])) == len(started[0])
