"""What goes with a study that is removed from the store, and which results no study refers to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lth.analysis.notes import DERIVATION, StudyNote, read_note
from lth.config import SettingsError
from lth.config.json_text import parse_json
from lth.launch.cluster.launches import MANIFEST, Launch, read_launch
from lth.launch.cluster.scheduler import SchedulerError
from lth.launch.cluster.submit import is_over
from lth.launch.notes import BUILDING
from lth.lineage import Store, StoreError
from lth.lineage.lease import holder

UNFINISHED = "begun and interrupted"
"""What work folders hold that nobody works in, beside the kinds of finished results."""


class InUse(ValueError):
    """Something is built at present, or may be; the message says by whom and what to do."""


@dataclass(frozen=True)
class Stored:
    """A study of the store, and the derivation of its results.

    Attributes:
        note: what the store notes of it.
        nodes: documents of all results that it stands on, by key; None where an older lth wrote none.
    """

    note: StudyNote
    nodes: Mapping[str, Mapping[str, Any]] | None

    @cached_property
    def keys(self) -> set[str]:
        """Keys of all that it refers to."""
        return {*self.note["keys"], *self.note["jobs"], *(self.nodes or {})}


def stored_studies(store: Store) -> list[Stored]:
    """Return the studies of a store.

    Raises:
        ValueError: if the note or derivation of one is damaged.
    """
    return [_stored(path) for path in sorted(store.root.glob("studies/*/study.json"))]


def _stored(path: Path) -> Stored:
    note, derivation = read_note(path), path.parent / DERIVATION
    try:
        nodes = {str(node["key"]): dict(node) for node in parse_json(derivation.read_bytes())["nodes"]}
    except FileNotFoundError:
        return Stored(note, None)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{derivation} is damaged ({error}): remove it and run the study's command again") from error
    return Stored(note, nodes)


@dataclass(frozen=True, slots=True)
class Loss:
    """What is lost with a study.

    Attributes:
        files: names of what lies in its folder.
        bytes: of these.
        trainings: finished ones that it stands on; all its finished jobs, where an older lth wrote no derivation.
        own_trainings: those among them that no other study uses.
        own_bytes: of all results that no other study uses. They stay in the store until they are removed as well.
        own_steps: of the trainings among these; 0 where there is no derivation.
    """

    files: tuple[str, ...]
    bytes: int
    trainings: int
    own_trainings: int
    own_bytes: int
    own_steps: int


def loss_of(study: Stored, others: Sequence[Stored], store: Store) -> Loss:
    """Return what is lost with a study, beside all studies of its store."""
    folder, nodes = study.note["folder"], study.nodes or {}
    finished = store.finished(study.keys)
    shared = {key for each in others if each.note["id"] != study.note["id"] for key in each.keys}
    own = finished - shared
    trainings = {key for key, node in nodes.items() if node.get("kind") == "Trained"} or {*study.note["jobs"]}
    return Loss(
        tuple(sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))),
        size_of(folder),
        len(trainings & finished),
        len(trainings & own),
        sum(size_of(store.folder(key)) for key in own),
        sum(int(nodes[key].get("steps", 0)) for key in trainings & own & nodes.keys()),
    )


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def check_idle(study: Stored, store: Store) -> None:
    """Check that a study is not being built, here or on a cluster.

    Raises:
        InUse: if it is, or may be.
    """
    id = study.note["id"]
    works = [store.work_folder(key) for key in study.keys & store.unfinished()]
    for folder in (store.study_folder(id) / BUILDING, *works):
        if (who := holder(folder)) is not None:
            raise InUse(f"study {id} is being built by {who}: stop that, or wait")
    for launch in _going_on(store):
        if id in (each.id for each in launch.studies):
            raise InUse(
                f"study {id} is of the launch {launch.id}, which is not over: `lth cancel {launch.id}`, or wait"
            )


def _going_on(store: Store) -> Iterator[Launch]:
    """Give the launches of a store whose jobs are not over.

    Raises:
        InUse: if that cannot be told.
    """
    for path in sorted(store.root.glob(f"launches/*/{MANIFEST}")):
        advice = f"see that none of its jobs runs, and remove the folder {path.parent}"
        try:
            launch = read_launch(path)
            if not is_over(launch):
                yield launch
        except SchedulerError as error:
            raise InUse(f"whether the launch {path.parent.name} runs cannot be told ({error}): {advice}") from error
        except SettingsError as error:
            raise InUse(f"the launch {path.parent.name} cannot be read ({error}): {advice}") from error


@dataclass(frozen=True, slots=True)
class Unreferenced:
    """A result that no study refers to, or what is left of one that was begun."""

    key: str
    kind: str
    folder: Path
    bytes: int


def unreferenced(store: Store) -> list[Unreferenced]:
    """Return the results that no study refers to, and what interrupted ones among them left.

    Raises:
        ValueError: if the note or derivation of a study is damaged or missing: what it refers to cannot be told.
        InUse: if one of them is built at present, or a launch may be going on.
    """
    studies = stored_studies(store)
    for each in studies:
        if each.nodes is None:
            raise ValueError(
                f"study {each.note['id']} notes no derivation, as an older lth left it: run its command again, which "
                "writes one, or remove it"
            )
    used = {key for each in studies for key in each.keys}
    used |= {key for launch in _going_on(store) for part in launch.parts for key in part.jobs}
    found = []
    for key in sorted(store.unfinished() - used):
        folder = store.work_folder(key)
        if (who := holder(folder)) is not None:
            raise InUse(f"{who} builds a result that no study refers to ({key[:12]}): stop that, or wait")
        found.append(Unreferenced(key, UNFINISHED, folder, size_of(folder)))
    for key in sorted({*store.keys()} - used):
        found.append(Unreferenced(key, _kind(key, store), store.folder(key), size_of(store.folder(key))))
    return found


def _kind(key: str, store: Store) -> str:
    try:
        return str(store.manifest(key)["node"]["kind"])
    except (StoreError, KeyError, TypeError):
        return "damaged"


def remove_unreferenced(agreed: Sequence[Unreferenced], store: Store) -> list[Unreferenced]:
    """Remove results that a user agreed to lose; return them, without those that a study has referred to meanwhile."""
    still = {each.folder for each in unreferenced(store)}
    removed = [each for each in agreed if each.folder in still]
    for each in removed:
        store.remove(each.folder)
    return removed
