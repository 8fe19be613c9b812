"""Who holds leases, and by which clock: this process, or one of those that a simulation has."""

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


def _machine() -> str:
    """Return a name of what numbers this process: host, its start, and the namespace of process numbers.

    Containers may share a host's name, and then tell nothing of each other's processes by their numbers.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # not Linux
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)


def _stamp(path: Path) -> float:
    os.utime(path)
    return path.stat().st_mtime


def _is_running(pid: int) -> bool:
    if pid <= 0:
        return True  # not known: its age decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@dataclass(frozen=True, slots=True)
class Process:
    """A process that shares a store with others.

    Attributes:
        machine: where its number tells whether it is there.
        pid: its number.
        token: tells it from all others.
        seconds: its clock, which never jumps.
        stamp: stamps a file, and returns the time, by the clock of the file system that it lies on.
        is_running: whether a process of the same machine is there.
    """

    machine: str = field(default_factory=_machine)
    pid: int = field(default_factory=os.getpid)
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    seconds: Callable[[], float] = time.monotonic
    stamp: Callable[[Path], float] = _stamp
    is_running: Callable[[int], bool] = _is_running
