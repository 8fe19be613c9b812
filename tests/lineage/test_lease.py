"""Leases: one of two processes builds; a dead or stalled owner is replaced."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lth.lineage.lease import Leases

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
