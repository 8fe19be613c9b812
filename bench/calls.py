"""Calls to the file system, counted: Python's audit events where there are any, wrappers where there are none."""

import contextlib
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

AUDITED = {
    "open": "open",
    "os.listdir": "list",
    "os.scandir": "list",
    "os.mkdir": "mkdir",
    "os.rename": "rename",
    "os.remove": "remove",
    "os.rmdir": "remove",
    "os.utime": "utime",
    "fcntl.flock": "lock",
}
"""Our word for each audit event."""
WRAPPED = ("stat", "lstat", "fsync")
"""Functions of `os` that have no audit event; `fsync` is counted and left out, for nothing here is to be kept."""

_counting: list["Calls"] = []
_hooked: list[bool] = []


class Calls:
    """Counts calls under a folder, by who makes them, in seconds of a clock.

    Args:
        folder: what lies elsewhere is not counted.
        seconds: the clock.
    """

    def __init__(self, folder: Path, seconds: Callable[[], float]) -> None:
        self._folder, self._seconds = str(folder), seconds
        self.origin = "other"
        self.by_origin: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.by_second: Counter[int] = Counter()

    def note(self, kind: str, path: Any) -> None:
        """Count one call, if its path lies in the folder, or is relative to an open folder, as in `shutil.rmtree`."""
        name = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
        if isinstance(path, int) or not os.path.isabs(name) or name.startswith(self._folder):
            self.add({kind: 1}, self.origin)

    def add(self, counts: dict[str, int], origin: str) -> None:
        """Count calls that were counted before once more, as another process makes them too."""
        self.by_origin[origin].update(counts)
        self.by_second[int(self._seconds())] += sum(counts.values())

    @property
    def total(self) -> int:
        return self.by_second.total()

    @contextlib.contextmanager
    def by(self, origin: str) -> Iterator[None]:
        """Count what is done meanwhile for this origin."""
        before, self.origin = self.origin, origin
        try:
            yield
        finally:
            self.origin = before


@contextlib.contextmanager
def counted(calls: Calls) -> Iterator[Calls]:
    """Count the calls that this process makes meanwhile."""
    if not _hooked:
        sys.addaudithook(_on_event)  # for good: Python has no way to take one back
        _hooked.append(True)
    plain = {name: getattr(os, name) for name in WRAPPED}
    for name, function in plain.items():
        setattr(os, name, _wrapped(name, function, calls))
    _counting.append(calls)
    try:
        yield calls
    finally:
        _counting.remove(calls)
        for name, function in plain.items():
            setattr(os, name, function)


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if _counting and event in AUDITED:
        for calls in _counting:
            calls.note(AUDITED[event], arguments[0])


def _wrapped(name: str, function: Callable[..., Any], calls: Calls) -> Callable[..., Any]:
    kind = name.removeprefix("l")

    def call(path: Any, *arguments: Any, **keywords: Any) -> Any:
        calls.note(kind, path)
        return None if kind == "fsync" else function(path, *arguments, **keywords)

    return call
