"""Leases: one of two processes builds; a dead or stalled owner is replaced."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lth.lineage.lease import Leases
from lth.lineage.process import Process

HOLD = """
import sys, time
from pathlib import Path
from lth.lineage.lease import Leases
with Leases() as leases:
    print(leases.acquire(Path(sys.argv[1])), flush=True)
    time.sleep(600)
"""


def test_a_living_process_keeps_its_lease_and_a_dead_one_loses_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "work")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner, Leases() as leases:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "True\n"
            assert not leases.acquire(tmp_path / "work")
            assert not leases.is_held(tmp_path / "work")
            owner.send_signal(signal.SIGKILL)
            owner.wait()
            assert leases.acquire(tmp_path / "work")
            assert leases.is_held(tmp_path / "work")
        finally:
            owner.kill()


def test_a_stalled_owner_is_replaced_and_notices(tmp_path: Path) -> None:
    """Both owners live in this process, so only the heartbeat can tell."""
    with Leases(stale_seconds=30) as stalled, Leases(stale_seconds=30) as other:
        assert stalled.acquire(tmp_path)
        assert not other.acquire(tmp_path)
        past = time.time() - 31
        os.utime(tmp_path / "lease.json", (past, past))
        assert other.acquire(tmp_path)
        assert not stalled.is_held(tmp_path)
        stalled.release(tmp_path)
        assert other.is_held(tmp_path)


def test_release_gives_it_to_others(tmp_path: Path) -> None:
    with Leases() as one, Leases() as other:
        assert one.acquire(tmp_path)
        assert one.acquire(tmp_path)
        one.release(tmp_path)
        assert other.acquire(tmp_path)
    assert not (tmp_path / "lease.json").exists()


def test_a_lease_cut_off_while_written_is_judged_by_its_age(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    for content in ("", '{"host": "so', "[]"):
        with Leases(stale_seconds=30) as leases:
            path.write_text(content)
            assert not leases.acquire(tmp_path)
            past = time.time() - 31
            os.utime(path, (past, past))
            assert leases.acquire(tmp_path)


def test_an_owner_on_another_host_is_judged_by_its_age(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    with Leases(stale_seconds=30) as leases:
        path.write_text('{"host": "elsewhere", "pid": 2147483646, "token": "t"}')
        assert not leases.acquire(tmp_path)
        past = time.time() - 31
        os.utime(path, (past, past))
        assert leases.acquire(tmp_path)


def test_one_of_many_takes_over(tmp_path: Path) -> None:
    """Many processes see at once that an owner is dead, again and again: one at most has the lease then."""
    takers, times_taken = [Leases(stale_seconds=30) for _ in range(8)], 0
    for _ in range(25):
        took, ready = list[Leases](), threading.Barrier(len(takers))

        def take(taker: Leases, took: list[Leases] = took, ready: threading.Barrier = ready) -> None:
            ready.wait()
            if taker.acquire(tmp_path):
                took.append(taker)

        threads = [threading.Thread(target=take, args=(taker,)) for taker in takers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        holding = [taker for taker in takers if taker.is_held(tmp_path)]
        assert len(holding) <= 1
        assert took in ([], holding)  # one that another drew back from may have its old lease again and not know
        times_taken += len(took)
        past = time.time() - 31
        for path in tmp_path.glob("lease*"):
            os.utime(path, (past, past))
    assert times_taken > 12  # none where two drew back from each other: the next look has it


def test_an_owner_that_wakes_while_it_is_taken_over_keeps_its_lease(tmp_path: Path) -> None:
    class Slow(Leases):
        def _create(self, path: Path) -> bool:
            stalled.beat()
            return super()._create(path)

    stalled, other = Leases(stale_seconds=30), Slow(stale_seconds=30)
    assert stalled.acquire(tmp_path)
    past = time.time() - 31
    os.utime(tmp_path / "lease.json", (past, past))
    assert not other.acquire(tmp_path)
    assert stalled.is_held(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lease.json"]


def test_a_folder_that_is_removed_meanwhile_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "work" / "key"
    with Leases() as one, Leases() as other:
        assert one.acquire(folder)
        os.rename(folder, tmp_path / "gone")
        assert not one.is_held(folder)
        assert other.acquire(folder)
        one.release(folder)
        assert other.is_held(folder)


def test_machines_do_not_judge_each_other_by_process_numbers(tmp_path: Path) -> None:
    nowhere = 2**31 - 2  # no such process here
    with Leases(process=Process(machine="elsewhere", pid=nowhere)) as one, Leases() as other:
        assert one.acquire(tmp_path)
        assert not other.acquire(tmp_path)
    with Leases(process=Process(pid=nowhere)) as one, Leases() as other:
        assert one.acquire(tmp_path)
        assert other.acquire(tmp_path)


def test_a_held_lease_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lth.lineage.lease.HEARTBEAT_SECONDS", 0.02)
    with Leases() as leases:
        assert leases.acquire(tmp_path)
        past = time.time() - 50
        os.utime(tmp_path / "lease.json", (past, past))
        deadline = time.monotonic() + 60
        while (tmp_path / "lease.json").stat().st_mtime < past + 40 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.time() - (tmp_path / "lease.json").stat().st_mtime < 10
