"""Signals of schedulers end a build with its work saved, by exit codes that scripts understand."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lth.config import stopping

COMMAND = [
    sys.executable, "-m", "lth", "find-ticket", "--levels", "2", "--replicates", "1", "--duration", "100000it",
    "--engine", "torch", "--quiet",
]  # fmt: skip


def test_a_build_notes_each_signal() -> None:
    for number in (signal.SIGINT, *stopping.BY_SCHEDULER):
        with stopping.interruptible() as is_interrupted:
            assert not is_interrupted()
            os.kill(os.getpid(), number)
            assert is_interrupted()
            assert stopping.stopped_by() == number
            assert stopping.exit_code() == {"SIGINT": 130, "SIGTERM": 143}.get(number.name, 75)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_second_signal_of_a_scheduler_does_not_end_what_saves() -> None:
    with stopping.interruptible() as is_interrupted:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert is_interrupted()
        assert stopping.stopped_by() == signal.SIGUSR1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("number", "code", "workers"), [(signal.SIGTERM, 143, 1), (signal.SIGUSR1, 75, 0)], ids=["TERM", "USR1"]
)
def test_a_command_saves_and_says_by_what_it_was_stopped(
    tmp_path: Path, number: signal.Signals, code: int, workers: int
) -> None:
    """Workers get the signal too, as with some schedulers."""
    command = [*COMMAND, "--workers", str(workers)]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    end = time.monotonic() + 120
    while not list(tmp_path.glob("lth-store/work/*/snapshot")) and time.monotonic() < end:
        time.sleep(0.1)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    for each in map(int, children):
        os.kill(each, number)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert f"interrupted by {number.name}" in said
    assert "Traceback" not in said
    [snapshot] = tmp_path.glob("lth-store/work/*/snapshot")
    assert snapshot.stat().st_size
    assert not list(tmp_path.glob("lth-store/work/*/lease.json"))
    study = json.loads(next(tmp_path.glob("lth-store/studies/*/study.json")).read_text())
    assert study["study"] == "find-ticket"


def test_a_signal_before_the_build_ends_it_before_it_begins(tmp_path: Path) -> None:
    """It may come while torch is imported: the handlers are there first."""
    process = subprocess.Popen([*COMMAND, "--workers", "0"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        caught = Path(f"/proc/{process.pid}/status").read_text()
        mask = int(next(line for line in caught.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        if mask >> (signal.SIGUSR1 - 1) & 1:
            break
        time.sleep(0.02)
    assert "torch" not in Path(f"/proc/{process.pid}/maps").read_text()
    process.send_signal(signal.SIGUSR1)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 75, said
    assert not list(tmp_path.glob("lth-store/objects/*/*"))
