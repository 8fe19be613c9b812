"""What a tracker is: a place outside of the store that is told of a study's trainings."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Row = tuple[int, Mapping[str, float]]
"""(step, values by `part/metric`)"""


@dataclass(frozen=True, slots=True)
class Series:
    """One training of a study, as trackers name it.

    Attributes:
        key: of the training in the store.
        name: `ticket, level 3, replicate 0`.
        parameters: arm, replicate, its place on the study's axes, and its key.
    """

    key: str
    name: str
    parameters: Mapping[str, Any]

    @property
    def file_name(self) -> str:
        """The name for folders: `ticket-level-3-replicate-0`."""
        return for_files(self.name)


@dataclass(frozen=True, slots=True)
class TrackedStudy:
    """A study, as trackers name it.

    Attributes:
        id: of the study.
        kind: of study: `find-ticket`.
        experiment: what studies of one kind, model and data share: `find-ticket-lenet-300-100-digits`.
        settings: by name, flat.
        series: its trainings.
    """

    id: str
    kind: str
    experiment: str
    settings: Mapping[str, Any]
    series: Sequence[Series] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        """What the study as a whole is called: `find-ticket 0123456789ab`."""
        return f"{self.kind} {self.id}"


class Tracker(Protocol):
    """Tells one tool of one study. It is made with what stands behind its name, as `mlflow:http://127.0.0.1:5000`.

    It is made before anything trains, and then called by one thread; whatever it raises there is said once, and no
    training stops for it. Rows of a training come in the order of their steps.
    """

    def begin(self, study: TrackedStudy) -> None:
        """Connect."""

    def log(self, series: Series, rows: Sequence[Row]) -> None:
        """Tell values of a training; the run that another process has begun for it goes on."""

    def close(self, series: Series) -> None:
        """Take note that a training is finished and all its values were told."""

    def conclude(self, verdict: Sequence[str], files: Mapping[str, Sequence[Path]]) -> None:
        """Tell what the study found: sentences, and files by what they are (`results`, `figures`, `tickets`)."""

    def end(self) -> None:
        """Let go of everything; what was told arrives."""


def for_files(name: str) -> str:
    """Return a name with no more than letters, digits, dots and hyphens."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")


def text_of(value: Any) -> str:
    """Return a setting as text: a list with commas, nothing as `none`."""
    if isinstance(value, list | tuple):
        return ",".join(map(text_of, value)) or "none"
    return "none" if value is None else str(value)
