"""What a tracker was told of a study already: kept beside the study in the store, so that nothing is told twice."""

import contextlib
import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from lth.config.json_text import parse_json

BEGUN = "begun"
FIRST_SECONDS = 20.0
"""How long a process waits for the one that begins first; less than a tracker is waited for."""


class Told:
    """What a tracker was told; each process adds lines to a file of its own.

    Args:
        study: the study's folder in the store.
        tracker: as the user named it.

    Attributes:
        last: the last step that was told, by key of the training.
        closed: keys of the trainings of which all was told.
        concluded: digests of the results that were told.
    """

    def __init__(self, study: Path, tracker: str) -> None:
        name = f"{tracker.partition(':')[0]}-{hashlib.sha256(tracker.encode()).hexdigest()[:8]}"
        self._folder = study / "tracking" / name
        self._file = self._folder / f"{uuid.uuid4().hex[:12]}.jsonl"
        self.last: dict[str, int] = {}
        self.closed: set[str] = set()
        self.concluded: set[str] = set()
        self.look()

    def look(self) -> None:
        """Read what all processes have noted; what is damaged was not told, and is told again."""
        for path in self._folder.glob("*.jsonl"):
            with contextlib.suppress(OSError):  # another process may just forget everything
                for line in path.read_text(errors="replace").splitlines():
                    self._take(line)

    @contextlib.contextmanager
    def beginning(self) -> Iterator[None]:
        """Let one process alone begin at first, so that what all share is made once; others wait until it has."""
        path = self._folder / BEGUN
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            _wait_for(path)
        try:
            yield
        except Exception:
            path.unlink(missing_ok=True)
            raise
        path.write_text("yes\n")

    def _take(self, line: str) -> None:
        try:
            entry = parse_json(line)
            if "results" in entry:
                self.concluded.add(entry["results"])
                return
            key, step, is_closed = entry["key"], entry["step"], entry["closed"]
            self.last[key] = max(step, self.last.get(key, 0))
        except (ValueError, KeyError, TypeError):  # the last line of a process that was killed, or damage
            return
        if is_closed:
            self.closed.add(key)

    def note(self, key: str, step: int, *, closed: bool = False) -> None:
        """Note that a training was told up to a step, or as a whole."""
        self._add({"key": key, "step": step, "closed": closed})

    def note_results(self, digest: str) -> None:
        """Note that the results of this digest were told."""
        self._add({"results": digest})

    def forget(self) -> None:
        """Forget everything: all is to be told again."""
        for path in self._folder.glob("*.jsonl"):
            path.unlink(missing_ok=True)
        self.last, self.closed, self.concluded = {}, set(), set()

    def _add(self, entry: dict[str, object]) -> None:
        line = json.dumps(entry)
        self._take(line)
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(f"{line}\n")


def _wait_for(path: Path) -> None:
    """Wait until the process that made a file has written into it, or taken it away; not for one that was killed."""
    until = time.monotonic() + FIRST_SECONDS
    with contextlib.suppress(FileNotFoundError):
        while not path.stat().st_size and time.monotonic() < until:
            time.sleep(0.1)
