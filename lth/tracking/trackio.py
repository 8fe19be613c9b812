"""trackio: runs in its own folder on this machine (TRACKIO_DIR); `trackio sync` takes them to a Space."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lth.tracking.packages import need
from lth.tracking.tracker import Row, Series, TrackedStudy

BATCH = 1000


class Trackio:
    """Writes into trackio's store at once, without a server; a row that is there already stays as it is.

    Args:
        argument: the project; by default the experiment's name.
    Raises:
        ValueError: if the package is missing.
    """

    def __init__(self, argument: str = "") -> None:
        need("trackio", "trackio")
        self._named = argument

    def begin(self, study: TrackedStudy) -> None:
        import trackio
        from trackio.sqlite_storage import SQLiteStorage

        self._trackio: Any = trackio
        self._storage, self._study = SQLiteStorage, study
        self._project = self._named or study.experiment
        SQLiteStorage.validate_project_name(self._project)

    def log(self, series: Series, rows: Sequence[Row]) -> None:
        name = f"{series.name}, {self._study.id}"
        self._write(name, series.key, rows, {**self._study.settings, **series.parameters})

    def close(self, series: Series) -> None: ...

    def conclude(self, verdict: Sequence[str], files: Mapping[str, Sequence[Path]]) -> None:
        settings = {**self._study.settings, "verdict": " ".join(verdict)}
        self._write(self._study.name, self._study.id, [(0, {"trainings": len(self._study.series)})], settings)
        run = self._trackio.Run(None, self._project, None, name=self._study.name, run_id=self._study.id)
        for kind, paths in files.items():
            if paths:
                artifact = self._trackio.Artifact(f"{kind}-{self._study.id}", type=kind)
                for path in paths:
                    artifact.add_file(path)
                run.log_artifact(artifact)

    def end(self) -> None: ...

    def _write(self, name: str, run: str, rows: Sequence[Row], config: Mapping[str, Any]) -> None:
        config = {**config, "_Group": self._study.id}
        for begin in range(0, len(rows), BATCH):
            batch = rows[begin : begin + BATCH]
            self._storage.bulk_log(
                self._project,
                name,
                [dict(values) for _, values in batch],
                [step for step, _ in batch],
                config=config,
                log_ids=[f"{run}-{step}-{_digest(values)}" for step, values in batch],
                run_id=run,
            )


def _digest(names: Iterable[str]) -> str:
    """Return what tells a row from another of the same step: those of an evaluation and of the end."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:12]
