"""A study that is killed at random, again and again, ends with the bits of one left in peace."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from builds import HERE, Notes, built, jobs, study
from kill import ONE_THREAD

from lth.lineage import Store, build

KILL = Path(__file__).with_name("kill.py")


def summaries(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What `kill.py` counted; in a process of its own, which alone may fork."""
    memory = Path("/dev/shm")  # a kill loses nothing that was written: a store in memory is as good, and faster
    place = memory if os.access(memory, os.W_OK) else folder
    command = [sys.executable, str(KILL), "--folder", str(place), *arguments]
    environment = os.environ | ONE_THREAD
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_killed_at_random_the_bits_are_the_same(tmp_path: Path) -> None:
    for summary in summaries(tmp_path, "--count", "10", "--replicates", "2", "--engine", "torch", "sparse"):
        assert summary["kills"] == 10
        assert summary["builds that went on from a snapshot"] > 0
        assert summary["files compared"] == 46
        assert summary["different"] == []


@pytest.mark.slow
@pytest.mark.parametrize("count", [int(os.environ.get("LTH_KILLS", "100"))])
def test_killed_often(count: int, tmp_path: Path) -> None:
    """`LTH_KILLS=1000` kills a thousand times."""
    arguments = ["--count", str(count), "--replicates", str(1 + count // 15), "--seed", "1"]
    [summary] = summaries(tmp_path, *arguments)
    assert summary["kills"] == count
    assert summary["different"] == []


@pytest.mark.slow
def test_killed_with_worker_processes(tmp_path: Path) -> None:
    """Killed is the build, whose workers then stand alone beside those of the next build, or one of the workers."""
    [summary] = summaries(tmp_path, "--count", "6", "--workers", "2")
    assert summary["kills"] == 6
    assert summary["different"] == []


def age(path: Path, seconds: float) -> None:
    """A file that was last touched so long ago."""
    os.utime(path, (time.time() - seconds, time.time() - seconds))


def test_what_kills_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    """A kill between a commit and the end of its work leaves snapshots of a finished training."""
    made = study(levels=1, controls=(), duration="10it")
    store = built(tmp_path, made)
    finished, unfinished = store.work_folder(jobs(made, "dense")[0].key), store.work_folder("f" * 64)
    left = [finished / "snapshot", unfinished / "snapshot", tmp_path / "work" / f".{'f' * 16}-1" / "weights"]
    left += [tmp_path / ".probe-1", store.study_folder("abc") / ".results.json.1a2b3c4d"]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
    store.check_writable()
    assert all(path.exists() for path in left)
    for path in (*left, left[2].parent):
        age(path, 90_000)
    store.check_writable()
    assert [path for path in left if path.exists()] == [unfinished / "snapshot"]
    assert not finished.exists()


def test_snapshots_half_written_go_when_the_training_goes_on(tmp_path: Path) -> None:
    made = study(levels=1, controls=())
    store, dense = Store(tmp_path), jobs(made, "dense")[0]
    cut = store.work_folder(dense.key) / ".snapshot.1a2b3c4d"
    cut.parent.mkdir(parents=True)
    cut.write_bytes(b"cut")
    age(cut, 90.0)
    seen = []

    class Looking(Notes):
        """Looks when the training has begun."""

        def progress(self, key: str, step: int, values: Any) -> None:
            seen.append(cut.exists())

    assert build(made.targets, store, made.sources, HERE, Looking()) == {}
    assert seen[0] is False
