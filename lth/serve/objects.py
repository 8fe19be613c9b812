"""What a store has finished and what is worked on, looked up without opening a file for each result."""

import os
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

KEEP_SECONDS = 1.0
"""How long an answer of the file system is good for."""

UNSETTLED_SECONDS = 2.0
"""A folder that changed so lately is read again: its time may not tell the next change from the last."""

KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Work:
    """An unfinished result: who works on it (empty: nobody at present)."""

    holder: str


class Objects:
    """The keys of finished results, and what is unfinished, by their folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.generation = 0  # counts changes of what is finished
        self._finished: dict[str, tuple[int, frozenset[str]]] = {}
        self._work: dict[str, Work] = {}
        self._looked = {"finished": -KEEP_SECONDS, "work": -KEEP_SECONDS}
        self._lock = Lock()

    def folder(self, key: str) -> Path:
        """Return the folder of a finished result."""
        return self.root / "objects" / key[:2] / key

    def look(self) -> int:
        """Look what is finished now, unless that was done a moment ago; return the number of changes so far."""
        self._look()
        return self.generation

    def __contains__(self, key: str) -> bool:
        self._look()
        return key in self._finished.get(key[:2], (0, frozenset()))[1]

    def count(self, keys: Collection[str]) -> int:
        """Return how many of these are finished."""
        self._look()
        return sum(key in self._finished.get(key[:2], (0, frozenset()))[1] for key in keys)

    def starting_with(self, prefix: str) -> list[str]:
        """Return the finished keys that begin with this, of two digits or more."""
        self._look()
        return sorted(key for key in self._finished.get(prefix[:2], (0, frozenset()))[1] if key.startswith(prefix))

    def work(self) -> dict[str, Work]:
        """Return what is unfinished and was begun, by key."""
        with self._lock:
            if time.monotonic() - self._looked["work"] >= KEEP_SECONDS:
                self._work = {key: Work(self._holder(key)) for key in _names(self.root / "work") if KEY.fullmatch(key)}
                self._looked["work"] = time.monotonic()
            return self._work

    def steps_begun(self, keys: Collection[str]) -> dict[str, int]:
        """Return the step at which each unfinished training goes on, of those that left a snapshot."""
        work = self.work()
        begun = [key for key in keys if key in work]
        if not begun:
            return {}
        from lth.lineage import Store  # loads torch: only where something is unfinished
        from lth.lineage.begun import steps_begun

        return steps_begun(begun, Store(self.root))

    def _holder(self, key: str) -> str:
        from lth.lineage.lease import holder  # loads torch: only where something is unfinished

        return holder(self.root / "work" / key) or ""

    def _look(self) -> None:
        with self._lock:
            if time.monotonic() - self._looked["finished"] < KEEP_SECONDS:
                return
            for name in _names(self.root / "objects"):
                folder = self.root / "objects" / name
                try:
                    changed = folder.stat().st_mtime_ns
                except OSError:
                    continue
                if self._finished.get(name, (0, frozenset()))[0] == changed:
                    continue
                keys = frozenset(each for each in _names(folder) if KEY.fullmatch(each))
                is_settled = time.time_ns() - changed > UNSETTLED_SECONDS * 1e9
                if keys != self._finished.get(name, (0, frozenset()))[1]:
                    self.generation += 1
                self._finished[name] = (changed if is_settled else 0, keys)
            self._looked["finished"] = time.monotonic()


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
