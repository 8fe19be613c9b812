"""Small studies that are told to trackers, and what trackers should hold of them: what tests of trackers share."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import lth
from lth.tracking import Row, Series, TrackedStudy
from lth.tracking.tracker import for_files

SMALL: dict[str, Any] = {"levels": 1, "replicates": 1, "duration": "60it", "evaluate_every": 20, "rate": 0.5,
                         "controls": ("random",)}  # fmt: skip
NAMES = ("dense, level 0, replicate 0", "ticket, level 1, replicate 0", "random, level 1, replicate 0")

Curves = dict[str, dict[str, list[tuple[int, float]]]]
"""Name of the training -> name of the metric -> (step, value), in order."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """A study that was told to trackers."""

    found: lth.Found
    store: Path
    trackers: tuple[str, ...]

    @property
    def curves(self) -> Curves:
        """What the store holds, read by hand."""
        curves: Curves = {}
        for row in self.found.results["rows"]:
            place = f"level {row['at']['level']}"
            path = self.store / "objects" / row["key"][:2] / row["key"] / "metrics.json"
            curves[f"{row['arm']}, {place}, replicate {row['replicate']}"] = curves_in(json.loads(path.read_text()))
        assert set(curves) == set(NAMES)
        return curves


def curves_in(document: Mapping[str, Any]) -> dict[str, list[tuple[int, float]]]:
    steps = document["steps"]
    curves = {
        name: [(step, value) for step, value in zip(steps, curve, strict=True) if value is not None]
        for name, curve in document["curves"].items()
    }
    ends = document["end"] | {f"at_best/{name}": value for name, value in document["at_best"].items()}
    ends["best_step"] = document["best"]["step"]
    return curves | {name: [(steps[-1], value)] for name, value in ends.items()}


def tracked_run(folder: Path, *trackers: str, workers: int = 0, store: str = "store", **settings: Any) -> Tracked:
    execution = lth.Execution(workers=workers, track=trackers, engine="torch")
    found = lth.find_ticket(
        store=folder / store, out=folder / "out", execution=execution, progress=False, **(SMALL | settings)
    )
    return Tracked(found, folder / store, trackers)


def events_in(folder: Path) -> Any:
    """Return what TensorBoard's own reader finds in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0}).Reload()


def tensorboard_curves(study: Path, names: Sequence[str]) -> Curves:
    """Return the curves below a study's folder; values there have single precision."""
    curves: Curves = {}
    for name in names:
        events = events_in(study / for_files(name))
        for tag in events.Tags()["scalars"]:
            read = [(event.step, pytest.approx(event.value, rel=1e-6)) for event in events.Scalars(tag)]
            curves.setdefault(name, {})[tag] = read
    return curves


@dataclass
class Memory:
    """A tracker that remembers, and may fail: what it is told lies in `held` for all of a test."""

    argument: str = ""
    held: "Held" = field(default_factory=lambda: HELD)

    def begin(self, study: TrackedStudy) -> None:
        self.held.studies.append(study)

    def log(self, series: Series, rows: Sequence[Row]) -> None:
        self.held.batches.append(len(rows))
        for step, values in rows:
            for name, value in values.items():
                self.held.curves.setdefault(series.name, {}).setdefault(name, []).append((step, value))

    def close(self, series: Series) -> None:
        self.held.closed.append(series.name)

    def conclude(self, verdict: Sequence[str], files: Mapping[str, Sequence[Path]]) -> None:
        self.held.verdicts.append((list(verdict), {kind: len(paths) for kind, paths in files.items()}))

    def end(self) -> None:
        self.held.ends += 1


@dataclass
class Held:
    studies: list[TrackedStudy] = field(default_factory=list)
    curves: Curves = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    verdicts: list[tuple[list[str], dict[str, int]]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    ends: int = 0


HELD = Held()
