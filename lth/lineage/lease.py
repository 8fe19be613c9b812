"""Leases: of two processes that want to build the same result, one does and the other waits.

A lease is a small file in the work folder, with its owner's machine, process and token; its owner stamps it every few
seconds. `lease.json` is created exclusively, so that one process wins, on any file system, and no lock is held.

It is taken over when its owner is dead: its process is gone from this machine, or the file has not been stamped for a
minute, by the clock of the file system. Who takes over creates the next file, `lease-1.json`, exclusively too: the last
one is the lease. It then looks again, and draws back where the owner before has woken up or another came later. A
stalled owner that wakes finds that the last file is not its own (`holds`), and leaves the work folder alone.

Files of dead owners stay until the work folder is removed as a whole, so that no number is given out twice in it while
somebody still judges by an old look.
"""

import contextlib
import json
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lth.lineage.files import cannot_write
from lth.lineage.process import Process

HEARTBEAT_SECONDS = 15.0
STALE_SECONDS = 60.0
CLOCK_SECONDS = 300.0
"""How long the offset between this process's clock and that of the file system is trusted."""

_NAME = re.compile(r"lease(?:-(\d+))?\.json")


class LeaseLost(Exception):
    """A work was taken over by another process, because this one was not heard of for a while."""


@dataclass(frozen=True, slots=True)
class _Owner:
    token: object
    machine: object
    pid: int
    stamped: float


class Leases:
    """The leases that this process holds; a thread keeps them alive until they are released or the process ends.

    Args:
        stale_seconds: how long an owner may not be heard of before it counts as dead.
        process: who holds them.
    """

    def __init__(self, stale_seconds: float = STALE_SECONDS, process: Process | None = None) -> None:
        self.process = process or Process()
        self._stale_seconds = stale_seconds
        self._held: dict[Path, Path] = {}
        self._clock: tuple[float, float] | None = None  # by the process's clock when, and how far the store's is ahead
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lth-lease-heartbeat", daemon=True)

    def __enter__(self) -> "Leases":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for folder in list(self._held):
            self.release(folder)

    def acquire(self, folder: Path) -> bool:
        """Take the lease of a work folder (made if missing); return False if a living process holds it.

        Raises:
            StoreError: if the folder cannot be written.
        """
        try:
            try:
                return self._acquire(folder)
            except FileNotFoundError:  # it is not there yet, or was removed under our hands
                folder.mkdir(parents=True, exist_ok=True)
                return self._acquire(folder)
        except FileNotFoundError:
            return False  # removed again
        except OSError as error:
            raise cannot_write(folder / "lease.json", error) from error

    def is_held(self, folder: Path) -> bool:
        """Return whether this process still holds the lease (a stalled process may have lost it)."""
        return holds(folder, self.process.token)

    def release(self, folder: Path) -> None:
        """Give a lease back, if it is still ours."""
        with self._guard:
            path = self._held.pop(folder, None)
        if path is not None and self.is_held(folder):
            path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Stamp the leases that are still held."""
        with self._guard:
            held = list(self._held.items())
        for folder, path in held:
            # A folder that its worker has just finished and removed needs no heartbeat any more.
            with contextlib.suppress(OSError):
                if self.is_held(folder):
                    self._stamp(path)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            self.beat()

    def _acquire(self, folder: Path) -> bool:
        last = _last(folder)
        before = None if last is None else _owner(_path(folder, last))
        if last is not None:
            if before is None:
                return False  # released just now
            if before.token == self.process.token:
                self._stamp(_path(folder, last))
                return _last(folder) == last
            if self._is_alive(before, folder.parent):
                return False
        number = 0 if last is None else last + 1
        path = _path(folder, number)
        if not self._create(path):
            return False
        if _last(folder) != number or (last is not None and _owner(_path(folder, last)) != before):
            path.unlink(missing_ok=True)
            return False
        with self._guard:
            self._held[folder] = path
        return True

    def _create(self, path: Path) -> bool:
        owner = {"machine": self.process.machine, "pid": self.process.pid, "token": self.process.token}
        try:
            with open(path, "x") as file:
                try:
                    file.write(json.dumps(owner))
                    file.flush()
                except OSError:  # the disk is full: an empty lease would keep others waiting
                    path.unlink(missing_ok=True)
                    raise
        except FileExistsError:
            return False
        self._stamp(path)
        return True

    def _is_alive(self, owner: _Owner, work: Path) -> bool:
        if owner.machine == self.process.machine and not self.process.is_running(owner.pid):
            return False
        return self._now(work) - owner.stamped < self._stale_seconds

    def _now(self, work: Path) -> float:
        """Return the time by the clock that stamps the store's files, which another machine may keep."""
        if self._clock is None or self.process.seconds() - self._clock[0] > CLOCK_SECONDS:
            (work / ".clock").touch()
            self._stamp(work / ".clock")
        assert self._clock is not None
        return self.process.seconds() + self._clock[1]

    def _stamp(self, path: Path) -> None:
        stamped, now = self.process.stamp(path), self.process.seconds()
        self._clock = now, stamped - now


def holds(folder: Path, token: str) -> bool:
    """Return whether the process with this token holds the lease of a work folder, now."""
    try:
        last = _last(folder)
        owner = None if last is None else _owner(_path(folder, last))
    except OSError:
        return False
    return owner is not None and owner.token == token


def _path(folder: Path, number: int) -> Path:
    return folder / (f"lease-{number}.json" if number else "lease.json")


def _last(folder: Path) -> int | None:
    found = map(_NAME.fullmatch, os.listdir(folder))
    return max((int(match[1] or 0) for match in found if match), default=None)


def _owner(path: Path) -> _Owner | None:
    """Return who is in a lease; None if it is not there any more. Opening asks the server where the store is shared."""
    try:
        with open(path) as file:
            stamped = os.fstat(file.fileno()).st_mtime
            owner = json.loads(file.read())
    except FileNotFoundError:
        return None
    except ValueError:
        owner = {}  # cut off while it was written: its age decides
    if not isinstance(owner, dict):
        owner = {}
    pid = owner.get("pid")
    return _Owner(owner.get("token"), owner.get("machine"), pid if isinstance(pid, int) else 0, stamped)


def holder(folder: Path) -> str | None:
    """Return who works in a folder at present, as 'process 4711 on node-3'; None for nobody. Nothing is written."""
    try:
        last = _last(folder)
        owner = None if last is None else _owner(_path(folder, last))
    except OSError:
        return None
    process = Process()
    if owner is None or (owner.machine == process.machine and not process.is_running(owner.pid)):
        return None
    if time.time() - owner.stamped >= STALE_SECONDS:
        return None
    return f"process {owner.pid} on {str(owner.machine or 'an unknown machine').split(' ')[0]}"
