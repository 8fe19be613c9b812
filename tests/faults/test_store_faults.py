"""What happens to a store while a study trains: full, read-only, a stolen lease, a clock that jumps, a signal."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from builds import HERE, Notes, assert_same_content, built, files_in, jobs, study

from lth.lineage import Execution, Store, StoreError, build
from lth.lineage.lease import STALE_SECONDS, Leases
from lth.studies.prepare import Study

OFTEN = Execution(workers=0, snapshot_seconds=0.0)
SCRIPT = Path(__file__).parents[1] / "lineage" / "build_study.py"


@pytest.fixture(scope="module")
def peace(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Store]:
    """A study of two trainings, and the store of a build that nothing disturbed."""
    made = study(levels=1, controls=(), duration="20it", rewind_to="5it")
    return made, built(tmp_path_factory.mktemp("peace"), made)


class At(Notes):
    """Does something once, when a training has come to a step."""

    def __init__(self, step: int, act: Any) -> None:
        super().__init__()
        self.step, self.act = step, act

    def progress(self, key: str, step: int, values: Mapping[str, float]) -> None:
        """The moment."""
        if self.act is not None and step >= self.step:
            act, self.act = self.act, None
            act(key)


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Files of this process end at a size: writing on fails, as on a full disk."""
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_no_room_for_a_file(peace: tuple[Study, Store], tmp_path: Path) -> None:
    """Wherever writing fails, one line says so, what is finished stays, and the same build goes on."""
    made, whole = peace
    store, failed = Store(tmp_path), 0
    for size in (3_000, 5_000, 9_000):
        with largest_file(size), contextlib.suppress(StoreError):
            build(made.targets, store, made.sources, OFTEN)
            failed -= 1
        failed += 1
    assert failed > 1
    assert build(made.targets, store, made.sources, OFTEN) == {}
    assert_same_content(store, whole, *made.targets)
    assert files_in(tmp_path / "work") == {}


def test_a_full_disk(peace: tuple[Study, Store], tmp_path: Path) -> None:
    """On a real one, of some pages: it fills up, more room is given, and so on until the study is done."""
    made, whole = peace
    disk = tmp_path / "disk"
    disk.mkdir()
    pages = 8
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={4 * pages}k", "none", str(disk)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small disk can only be mounted by root")
    failed, said = 0, list[str]()
    try:
        while True:
            try:
                build(made.targets, Store(disk / "store"), made.sources, OFTEN)
                break
            except StoreError as error:
                said.append(str(error))
                failed, pages = failed + 1, pages + 12
                subprocess.run(["mount", "-o", f"remount,size={4 * pages}k", str(disk)], check=True)
        assert failed > 1
        assert all("No space left on device" in each and "\n" not in each for each in said)
        assert_same_content(Store(disk / "store"), whole, *made.targets)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_store_that_becomes_read_only(peace: tuple[Study, Store], tmp_path: Path) -> None:
    made, whole = peace
    store, work = Store(tmp_path / "store"), tmp_path / "store" / "work"

    def lock(key: str) -> None:
        shutil.move(work / key, tmp_path / "kept")
        (work / key).write_text("no folder: nothing can be written there, by root either")

    with pytest.raises(StoreError, match=r"cannot write .*/store/work/.*make it writable"):
        build(made.targets, store, made.sources, OFTEN, At(10, lock))
    [key] = (path.name for path in work.iterdir() if path.is_file() and not path.name.startswith("."))
    (work / key).unlink()
    shutil.move(tmp_path / "kept", work / key)
    (work / key / "lease.json").unlink()  # of this process, which lives
    assert build(made.targets, store, made.sources, OFTEN) == {}
    assert_same_content(store, whole, *made.targets)


@pytest.mark.parametrize("theft", ["replaced", "removed", "removed with its folder"])
def test_a_stolen_lease(theft: str, peace: tuple[Study, Store], tmp_path: Path) -> None:
    """Another build finishes what this one trains, as after this machine slept: both end, with the same bits."""
    made, whole = peace
    store = Store(tmp_path)

    def steal(key: str) -> None:
        lease = store.work_folder(key) / "lease.json"
        if theft == "replaced":
            lease.write_text('{"machine": "elsewhere", "pid": 1, "token": "thief"}')
            past = time.time() - STALE_SECONDS + 2
            os.utime(lease, (past, past))  # the thief is not heard of again
            return
        shutil.rmtree(lease.parent) if "folder" in theft else lease.unlink()
        assert build(jobs(made, "dense"), Store(tmp_path), made.sources, HERE) == {}

    assert build(made.targets, store, made.sources, OFTEN, At(7, steal)) == {}
    assert_same_content(store, whole, *made.targets)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps(jump: float, peace: tuple[Study, Store], tmp_path: Path) -> None:
    """Files of an interrupted build are stamped a day off: nothing waits for them, nothing is lost."""
    made, whole = peace
    [dense] = jobs(made, "dense")
    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        build(made.targets, store, made.sources, OFTEN, At(10, lambda _: _interrupt()))
    work = store.work_folder(dense.key)
    with Leases() as gone:
        assert gone.acquire(work)
        lease = (work / "lease.json").read_text()
    (work / "lease.json").write_text(lease.replace(str(os.getpid()), "2147483646"))
    for path in work.iterdir():
        os.utime(path, (time.time() + jump, time.time() + jump))
    assert (work / "snapshot").exists()
    began = time.monotonic()
    assert build(made.targets, store, made.sources, OFTEN) == {}
    assert time.monotonic() - began < 30
    assert_same_content(store, whole, *made.targets)


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("what", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_loses_nothing(what: signal.Signals, tmp_path: Path) -> None:
    def start(folder: Path) -> "subprocess.Popen[str]":
        command = [sys.executable, str(SCRIPT), str(folder), "0"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    with start(tmp_path / "store") as process:
        assert process.stdout is not None
        process.stdout.readline()  # a training begins
        while not list((tmp_path / "store").glob("work/*/snapshot")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(what)
        process.communicate(timeout=60)
    assert process.returncode != 0
    assert list((tmp_path / "store").glob("work/*/snapshot"))
    for folder in ("store", "peace"):
        with start(tmp_path / folder) as process:
            process.communicate(timeout=200)
        assert process.returncode == 0
    left, right = (files_in(tmp_path / folder / "objects") for folder in ("store", "peace"))
    plain = {name for name in left if not name.endswith(("manifest.json", "times.json"))}
    assert left.keys() == right.keys()
    assert [name for name in plain if left[name] != right[name]] == []
