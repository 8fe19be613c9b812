"""Leases: of two processes that want to build the same result, one does and the other waits.

A lease is a small file with its owner's host and process, touched every few seconds. It is taken over when its owner
is dead: its process is gone from this host, or the file has not been touched for a minute. A short file lock guards
the taking.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from lth.lineage.files import cannot_write

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0


class Leases:
    """The leases that this process holds; a thread keeps them alive until they are released or the process ends."""

    def __init__(self, stale_seconds: float = STALE_SECONDS) -> None:
        self._token = uuid.uuid4().hex
        self._stale_seconds = stale_seconds
        self._held: set[Path] = set()
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lth-lease-heartbeat", daemon=True)

    def __enter__(self) -> "Leases":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for path in list(self._held):
            self.release(path.parent)

    def acquire(self, folder: Path) -> bool:
        """Take the lease of a work folder (made if missing); return False if a living process holds it.

        Raises:
            StoreError: if the folder cannot be written.
        """
        path = folder / "lease.json"
        try:
            with work_lock(folder.parent) as now:
                folder.mkdir(exist_ok=True)
                owner = self._owner(path)
                if owner is not None and owner.get("token") != self._token and self._is_alive(path, owner, now):
                    return False
                path.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "token": self._token}))
        except OSError as error:
            raise cannot_write(path, error) from error
        with self._guard:
            self._held.add(path)
        return True

    def is_held(self, folder: Path) -> bool:
        """Return whether this process still holds the lease (a stalled process may have lost it)."""
        owner = self._owner(folder / "lease.json")
        return owner is not None and owner.get("token") == self._token

    def release(self, folder: Path) -> None:
        """Give a lease back, if it is still ours."""
        path = folder / "lease.json"
        with self._guard:
            self._held.discard(path)
        if self.is_held(folder):
            path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            with self._guard:
                held = list(self._held)
            for path in held:
                # A folder that its worker has just finished and removed needs no heartbeat any more.
                with contextlib.suppress(OSError):
                    if self.is_held(path.parent):
                        os.utime(path)

    def _is_alive(self, path: Path, owner: dict[str, object], now: float) -> bool:
        if owner.get("host") == socket.gethostname() and not _process_exists(int(str(owner.get("pid", 0)))):
            return False
        try:
            return now - path.stat().st_mtime < self._stale_seconds
        except FileNotFoundError:
            return False

    @staticmethod
    def _owner(path: Path) -> dict[str, object] | None:
        try:
            owner = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            return {}  # cut off while it was written: its age decides
        return owner if isinstance(owner, dict) else {}


@contextlib.contextmanager
def work_lock(folder: Path) -> Iterator[float]:
    """Hold the short lock of a folder of work folders; give the time there, by the clock that stamps its files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    with FileLock(path):
        os.utime(path)
        yield path.stat().st_mtime


def _process_exists(pid: int) -> bool:
    if pid <= 0:
        return True  # not known: its age decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def holder(folder: Path) -> str | None:
    """Return who works in a folder at present, as 'process 4711 on node-3'; None for nobody. Nothing is written."""
    leases, path = Leases(), folder / "lease.json"
    owner = leases._owner(path)
    if not owner or not leases._is_alive(path, owner, time.time()):
        return None
    return f"process {owner.get('pid')} on {owner.get('host')}"
