"""How far a study is, from what lies in the store: its jobs that are done or begun, at which step, and by whom."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lth.analysis.documents import read_documents
from lth.report.words import first_capital
from lth.serve.catalogue import Entry
from lth.serve.derivation import Derivation, Place, Step
from lth.serve.objects import Objects


@dataclass(frozen=True, slots=True)
class JobState:
    """One job: done, working, begun or waiting; it is at `step`, from `first` to `last` (both 0: not known)."""

    key: str
    state: str
    step: int = 0
    first: int = 0
    last: int = 0
    by: str = ""
    words: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """The jobs of one place, by arm: of each its replicates in order."""

    place: str
    cells: dict[str, list[tuple[int, JobState]]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is; `share` is of the steps, or of the jobs where steps are not known."""

    state: str
    done: int
    all: int
    share: float
    steps_done: int
    steps: int
    arms: list[str]
    lines: list[Line]
    under_way: list[JobState]
    others: list[JobState]

    def document(self) -> dict[str, Any]:
        """Return this as JSON values."""
        jobs = {job.key: job for line in self.lines for cell in line.cells.values() for _, job in cell}
        jobs |= {job.key: job for job in self.others}
        head = {name: getattr(self, name) for name in ("state", "done", "all", "share", "steps_done", "steps")}
        return head | {"jobs": [asdict(job) for job in jobs.values()]}


def progress(entry: Entry, derivation: Derivation | None, objects: Objects) -> Progress:
    """Return how far a study is.

    Args:
        entry: the study; its note is whole.
        derivation: as it was noted; None of an older study, whose places are then taken from its results.
        objects: what is finished and worked on.
    """
    places = dict(derivation.places) if derivation else _places_of_results(entry)
    missing = {key for key in entry.jobs if key not in objects}
    begun, work = objects.steps_begun(missing), objects.work()
    jobs: dict[str, JobState] = {}
    for key in entry.jobs:
        step = derivation.steps.get(key) if derivation else None
        by = work[key].holder if key in work and key in missing else ""
        state = "done" if key not in missing else "working" if by else "begun" if key in begun else "waiting"
        first = _first_step(step)
        last = first + step.steps if step else 0
        where = "; ".join(_where(place) for place in places.get(key, ()))
        at = last if state == "done" else max(begun.get(key, first), first)
        jobs[key] = JobState(key, state, at, first, last, by, step.words if step else "", where)
    steps_done = sum(job.step - job.first for job in jobs.values() if job.last)
    steps = sum(job.last - job.first for job in jobs.values())
    done = len(jobs) - len(missing)
    measured = {key for key in places if key in jobs}
    return Progress(
        state=entry.state,
        done=done,
        all=len(jobs),
        share=steps_done / steps if steps else done / max(len(jobs), 1),
        steps_done=steps_done,
        steps=steps,
        arms=list(dict.fromkeys(place.arm for several in places.values() for place in several)),
        lines=_lines(places, jobs),
        under_way=[job for job in jobs.values() if job.state in ("working", "begun")],
        others=[job for key, job in jobs.items() if key not in measured],
    )


def _first_step(step: Step | None) -> int:
    training = step.fields.get("training") if step else None
    first = training.get("first_step", 0) if isinstance(training, Mapping) else 0
    return first if isinstance(first, int) else 0


def _lines(places: Mapping[str, Sequence[Place]], jobs: Mapping[str, JobState]) -> list[Line]:
    lines: dict[str, Line] = {}
    for key, several in places.items():
        for place in several:
            name = place_words(place.at)
            if key in jobs:
                cells = lines.setdefault(name, Line(name, {})).cells
                cells.setdefault(place.arm, []).append((place.replicate, jobs[key]))
    for line in lines.values():
        for cell in line.cells.values():
            cell.sort(key=lambda each: each[0])
    return list(lines.values())


def place_words(at: Mapping[str, float | str]) -> str:
    """Return a place on a study's axes: 'Level 3, density 12.5 %'."""
    parts = [f"{name.replace('_', ' ')} {_value(name, value)}" for name, value in at.items()]
    return first_capital(", ".join(parts)) or "All"


def _value(name: str, value: float | str) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return f"{100 * value:.3g} %" if name in ("density", "sparsity", "target") else f"{value:,g}"


def _where(place: Place) -> str:
    return f"{place.arm}, replicate {place.replicate}, {place_words(place.at).lower()}"


def _places_of_results(entry: Entry) -> dict[str, list[Place]]:
    if entry.outcome is None or entry.outcome.damage:
        return {}
    try:
        results, _ = read_documents(entry.folder)
    except ValueError:
        return {}
    places: dict[str, list[Place]] = {}
    for row in results["rows"]:
        places.setdefault(row["key"], []).append(Place(row["arm"], row["replicate"], row["at"]))
    return places
