"""The studies of a store in short: read when a file changed, kept in memory otherwise."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from lth.analysis.labels import LABELS, Labels, read_labels
from lth.analysis.notes import StudyNote, read_note
from lth.config.json_text import parse_json
from lth.config.text import last_part
from lth.report.words import plain_fields
from lth.serve.derivation import read_manifest
from lth.serve.objects import KEEP_SECONDS, Objects

NO_LABELS = Labels()

Signature = tuple[int, int] | None
"""When a file changed last, and its size; None where there is none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What results.json says in short; `damage` where it cannot be read."""

    summary: str = ""
    title: str = ""
    found: bool = False
    confirmed: bool = False
    arms: tuple[str, ...] = ()
    damage: str = ""


@dataclass(frozen=True)
class Entry:
    """One study: its note, what it found, and how far it is. `damage` where the note cannot be read."""

    id: str
    folder: Path
    note: StudyNote | None
    outcome: Outcome | None
    done: int = 0
    working: int = 0
    damage: str = ""
    labels: Labels = NO_LABELS

    @property
    def state(self) -> str:
        """One of STATES."""
        if self.damage or (self.outcome and self.outcome.damage):
            return "damaged"
        if self.outcome is not None:
            return "finished"
        return "running" if self.working else "unfinished"

    @property
    def study(self) -> str:
        return self.note["study"] if self.note else ""

    @property
    def model(self) -> str:
        return last_part(str(self.note["config"].get("model", ""))) if self.note else ""

    @property
    def data(self) -> str:
        return str(self.note["config"].get("data", "")) if self.note else ""

    @property
    def task(self) -> str:
        return self.note["task"] if self.note else ""

    @property
    def replicates(self) -> int:
        number = self.note["config"].get("replicates") if self.note else 0
        return number if isinstance(number, int) else 0

    @property
    def created(self) -> str:
        return self.note["created"].replace("T", " ")[:16] if self.note else ""

    @property
    def jobs(self) -> Sequence[str]:
        return self.note["jobs"] if self.note else ()

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(self.note["arms"] if self.note else ()) or (self.outcome.arms if self.outcome else ())

    @property
    def verdict(self) -> str:
        """What it found in a few words, or what is wrong."""
        if self.damage:
            return self.damage
        if self.outcome is not None:
            return self.outcome.damage or self.outcome.summary
        return self.state

    @cached_property
    def settings(self) -> dict[str, str]:
        """Its settings as names and plain text."""
        return plain_fields(self.note["config"]) if self.note else {}

    @cached_property
    def text(self) -> str:
        """All that a search in text looks at, in small letters."""
        title = self.outcome.title if self.outcome else ""
        fields = [f"{name} {value}" for name, value in self.settings.items()]
        called = [self.labels.name or "", *self.labels.tags]
        parts = [self.id, *called, self.study, self.state, self.verdict, title, self.task, *self.arms, *fields]
        return "\n".join(parts).lower()


STATES = ("finished", "running", "unfinished", "damaged")


class Catalogue:
    """The studies of a store. A file is read again when it changed; what is finished is counted by folders."""

    def __init__(self, store: Path) -> None:
        self.store, self.objects = store, Objects(store)
        self._entries: dict[str, Entry] = {}
        self._read: dict[Path, tuple[Signature, Any]] = {}
        self._generation = -1
        self._looked = -KEEP_SECONDS
        self._lock = Lock()

    def entries(self) -> list[Entry]:
        """Return all studies, newest first; damaged ones first of all."""
        with self._lock:
            if time.monotonic() - self._looked >= KEEP_SECONDS:
                generation = self.objects.look()
                self._entries = {name: self._entry(name, generation) for name in self._names()}
                self._generation, self._looked = generation, time.monotonic()
            known = sorted(self._entries.values(), key=lambda entry: entry.id)
        return sorted(known, key=lambda entry: (bool(entry.damage), entry.created), reverse=True)

    def get(self, name: str) -> Entry | None:
        """Return the study of this ID; None where the store has none."""
        self.entries()
        return self._entries.get(name)

    def _names(self) -> list[str]:
        try:
            with os.scandir(self.store / "studies") as found:
                return [each.name for each in found if not each.name.startswith(".") and each.is_dir()]
        except OSError:
            return []

    def _entry(self, name: str, generation: int) -> Entry:
        """Return a study as it is now; the one from before where nothing changed."""
        folder = self.store / "studies" / name
        note = self._cached(folder / "study.json", _note)
        outcome = self._cached(folder / "results.json", _outcome)
        if isinstance(note, str) or note is None:
            return Entry(name, folder, None, outcome, damage=note or f"{folder / 'study.json'} is missing")
        before = self._entries.get(name)
        if before is not None and before.note is note and generation == self._generation:
            done = before.done
        else:
            note["task"] = note["task"] or self._task(note)
            done = self.objects.count(note["jobs"])
        work = self._work_of(note) if outcome is None else []
        working = sum(bool(each.holder) for key, each in work if key not in self.objects)
        labels = self._cached(folder / LABELS, lambda path: read_labels(path.parent)) or NO_LABELS
        entry = Entry(name, folder, note, outcome, done, working, labels=labels)
        return before if before == entry and before.outcome is outcome else entry

    def _task(self, note: StudyNote) -> str:
        """Return the task of a study whose note does not say it: its settings' or a finished training's."""
        if note["config"].get("task"):
            return str(note["config"]["task"])
        key = next((key for key in note["jobs"] if key in self.objects), None)
        manifest = read_manifest(key, self.objects) if key else None
        task = ((manifest or {}).get("settings", {}).get("training") or {}).get("task") or {}
        return str(task.get("name", ""))

    def _work_of(self, note: StudyNote) -> list[tuple[str, Any]]:
        work = self.objects.work()
        return [(key, work[key]) for key in note["jobs"] if key in work] if work else []

    def _cached(self, path: Path, read: Any) -> Any:
        """Return what a file says, read again if it changed; None where there is none."""
        signature = signature_of(path)
        if signature is None:
            self._read.pop(path, None)
            return None
        if self._read.get(path, (None, None))[0] != signature:
            self._read[path] = (signature, read(path))
        return self._read[path][1]


def signature_of(path: Path) -> Signature:
    """Return what tells whether a file changed; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _note(path: Path) -> StudyNote | str:
    try:
        return read_note(path)
    except ValueError as error:
        return str(error)


def _outcome(path: Path) -> Outcome:
    """Return what a results.json says in short; what is wrong with it where it is damaged."""
    try:
        document = parse_json(path.read_bytes())
        verdict = document["verdict"]
        return Outcome(
            summary=str(verdict.get("summary", "made by another version: run it again")),
            title=str(verdict.get("title", "")),
            found=bool(verdict.get("found")),
            confirmed=bool(verdict.get("found")) and verdict.get("confirmed") is not False,
            arms=tuple(str(arm["name"]) for arm in document.get("arms", [])),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Outcome(damage=f"{path} is damaged ({error}): run the study again, or `lth report`, to write it anew")
