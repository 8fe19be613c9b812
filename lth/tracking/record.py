"""What a tracker was told of a study already: kept beside the study in the store, so that nothing is told twice."""

import hashlib
import json
import uuid
from pathlib import Path


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
        for path in sorted(self._folder.glob("*.jsonl")):
            for line in path.read_text().splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a process that was killed
            return
        if "results" in entry:
            self.concluded.add(entry["results"])
        else:
            key, step = entry["key"], entry["step"]
            self.last[key] = max(step, self.last.get(key, step))
            if entry["closed"]:
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
            path.unlink()
        self.last, self.closed, self.concluded = {}, set(), set()

    def _add(self, entry: dict[str, object]) -> None:
        line = json.dumps(entry)
        self._take(line)
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(f"{line}\n")
