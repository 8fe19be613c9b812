"""Trackers beside a study: live while it is built, or later from what the store holds."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from lth.config import Running
from lth.launch.found import Found, results
from lth.launch.notes import note_of
from lth.lineage import Observer, Store, Unobserved
from lth.studies.prepare import Study
from lth.tracking import Finding, Sender, Teller, TrackedBuild, study_of, tracker_of

ObserverFactory = Callable[[Study], AbstractContextManager[Observer]]


class Tracked:
    """The trackers of one study that is built.

    Args:
        prepared: the study.
        store: where its results go.
        names: of the trackers, as `mlflow:http://127.0.0.1:5000`.
    Raises:
        SettingsError: if one is unknown, or cannot be used as it is.
    """

    def __init__(self, prepared: Study, store: Store, names: Sequence[str]) -> None:
        self._id, self._root = prepared.id, store.root
        trackers = {name: tracker_of(name) for name in names}
        note = note_of(prepared) if trackers else {}
        self._tellers = [Teller(name, each, study_of(note), store) for name, each in trackers.items()]
        self._senders: list[Sender] = []

    def observer(self, make: ObserverFactory | None) -> ObserverFactory | None:
        """Return what makes the observer of the build: trackers start with it."""
        if not self._tellers:
            return make

        @contextmanager
        def attach(study: Study) -> Iterator[Observer]:
            with make(study) if make else nullcontext(Unobserved()) as shown:
                self._senders = [Sender(each, later_command(self._id, each.name, self._root)) for each in self._tellers]
                yield TrackedBuild(shown, self._senders)

        return attach

    def close(self, found: Found | None, *, is_interrupted: bool = False) -> None:
        """Tell what the study found, and wait for the trackers (see `Sender.close`)."""
        finding = None if found is None else finding_of(found)
        for sender in self._senders:
            sender.close(finding, is_interrupted=is_interrupted)


@dataclass(frozen=True, slots=True)
class Exported:
    """What a tracker was told of a study.

    Attributes:
        told: trainings, those that go on too.
        before: trainings that were told before, as a whole.
        missing: trainings that the store has nothing of yet.
        files: results, figures and tickets; 0 where they were told before, or there are none yet.
        is_concluded: whether the study has results.
    """

    told: int
    before: int
    missing: int
    files: int
    is_concluded: bool


def export_study(id: str, store: Store, name: str, *, again: bool = False) -> Exported:
    """Tell a tracker of a study from the store alone, what it was not told yet.

    Args:
        id: of the study.
        store: where its results are.
        name: of the tracker.
        again: whether to tell everything, as if nothing had been told.
    Raises:
        SettingsError: if the tracker is unknown, or cannot be used as it is.
        ValueError: if the store's note is of an lth that did not name trainings.
    """
    folder = store.study_folder(id)
    note = json.loads((folder / "study.json").read_bytes())
    if "trainings" not in note:
        raise ValueError(
            f"the note of study {id} does not name its trainings: run its {note.get('study')} command again, which "
            "trains nothing that is there"
        )
    study = study_of(note)
    teller = Teller(name, tracker_of(name), study, store)
    if again:
        teller.told.forget()
    keys = teller.keys
    found = results(id, store.root) if (folder / "results.json").exists() else None
    teller.begin()
    told = sum([teller.stored(key) for key in keys])
    files = 0
    if found is not None:
        finding = finding_of(found)
        if teller.conclude(finding.verdict, finding.files):
            files = sum(map(len, finding.files.values()))
    teller.end()
    return Exported(told, len(study.series) - len(keys), len(keys) - told, files, found is not None)


def finding_of(found: Found) -> Finding:
    """Return what a study found as trackers are told it."""
    figures = sorted((found.folder / "figures").glob("*.png"))
    files: dict[str, list[Path]] = {
        "results": [found.folder / "results.json"],
        "figures": figures,
        "tickets": found.tickets,
    }
    return Finding(found.verdict["sentences"], files)


def later_command(id: str, name: str, store: Path) -> str:
    """Return the command that tells a tracker of a study from the store."""
    elsewhere = "" if store == Running().store else f" --store {store}"
    return f"lth export {id} --to {name}{elsewhere}"
