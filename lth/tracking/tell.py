"""Tell a tracker of a study: each row once, in the order of steps, whether it comes from a build or from the store."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from lth.lineage import Store
from lth.lineage.begun import SNAPSHOTS
from lth.tracking.record import Told
from lth.tracking.sent import later, rows_of
from lth.tracking.tracker import Row, TrackedStudy, Tracker


class Teller:
    """Tells one tracker of one study what it was not told yet.

    Args:
        name: of the tracker, as the user wrote it.
        tracker: the tracker.
        study: what it is told of.
        store: where its results are.
    """

    def __init__(self, name: str, tracker: Tracker, study: TrackedStudy, store: Store) -> None:
        self.name, self._tracker, self._study, self._store = name, tracker, study, store
        self._series = {series.key: series for series in study.series}
        self.told = Told(store.study_folder(study.id), name)
        self._seen: set[str] = set()

    @property
    def keys(self) -> list[str]:
        """The trainings of which not all was told."""
        return [key for key in self._series if key not in self.told.closed]

    def begin(self) -> None:
        """Connect; of several processes that are the first at once, one after the other."""
        with self.told.beginning():
            self._tracker.begin(self._study)

    def rows(self, key: str, rows: Sequence[Row]) -> None:
        """Tell rows of a training, those that are new."""
        if key not in self._seen:
            self._seen.add(key)
            if any((self._store.work_folder(key) / name).exists() for name in SNAPSHOTS):
                self.told.look()  # another process may have begun it, and have told of it meanwhile
        new = later(rows, self.told.last.get(key))
        if new and key in self._series and key not in self.told.closed:
            self._tracker.log(self._series[key], new)
            self.told.note(key, new[-1][0])

    def stored(self, key: str) -> bool:
        """Tell what the store has of a training and was not told; return whether it has anything of it.

        Nothing more comes of one that is finished.
        """
        if key not in self._series or key in self.told.closed:
            return False
        rows, is_finished = rows_of(key, self._store)
        if not is_finished:
            self.rows(key, rows)
            return bool(rows)
        *evaluations, end = rows
        self._tracker.log(self._series[key], [*later(evaluations, self.told.last.get(key)), end])
        self._tracker.close(self._series[key])
        self.told.note(key, end[0], closed=True)
        return True

    def conclude(self, verdict: Sequence[str], files: Mapping[str, Sequence[Path]]) -> bool:
        """Tell what the study found; return False if it was told before."""
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in files.get("results", ()))).hexdigest()
        if digest in self.told.concluded:
            return False
        self._tracker.conclude(verdict, files)
        self.told.note_results(digest)
        return True

    def end(self) -> None:
        """Let go of the tracker."""
        self._tracker.end()
