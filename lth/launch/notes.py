"""What a study notes in the store before it is built: what it is, and how all that it needs is derived."""

import datetime
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lth.analysis.labels import Labels, add_labels, check_free
from lth.analysis.notes import DERIVATION, DERIVATION_FORMAT
from lth.analysis.points import Point
from lth.launch.conclude import jobs_of
from lth.lineage import Job, MasksNode, Node, Store, StoreError, Trained, derivation, json_to_bytes, write_file
from lth.lineage.lease import Leases
from lth.studies.prepare import Study

BUILDING = "building"
"""The folder in a study's folder of the store in which a process that builds it holds a lease."""


def register(prepared: Study, store: Store, labels: Labels | None = None) -> None:
    """Note in the store that this study exists, so that it can be listed while it is built.

    Args:
        prepared: the study.
        store: where it is noted.
        labels: what it is called, and the command that runs it.
    Raises:
        ValueError: if another study has the name; nothing is written then. Damaged labels are a warning, and stay.
    """
    folder = store.study_folder(prepared.id)
    path = folder / "study.json"
    if labels is not None:
        check_free(labels.name, folder)
    if not path.exists():
        write_file(path, json_to_bytes(note_of(prepared)))
    elif b'"trainings"' not in (before := path.read_bytes()):  # of an older lth, or damaged
        write_file(path, json_to_bytes(note_of(prepared) | _created(before)))
    _write_derivation(prepared, store)
    if labels is not None:
        try:
            add_labels(folder, labels)
        except ValueError as error:
            warnings.warn(f"{error} (what this run adds is not kept)", stacklevel=2)


@contextmanager
def being_built(prepared: Study, store: Store) -> Iterator[None]:
    """Hold a lease in the study's folder meanwhile, so that `lth rm` leaves it alone."""
    folder = store.study_folder(prepared.id) / BUILDING
    with Leases() as leases:
        leases.acquire(folder)  # another process may build it too, and holds it then
        try:
            yield
        finally:
            if leases.is_held(folder):
                with suppress(StoreError):
                    store.remove(folder)  # with what killed processes left in it


def note_of(prepared: Study) -> dict[str, Any]:
    """Return what the store notes of a study: its settings, and which results are its own and whose they are."""
    jobs, points = jobs_of(prepared), {point.job.key: point for point in reversed(prepared.points)}
    return {
        "format": "lth.study/2",
        "id": prepared.id,
        "study": prepared.type.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "config": prepared.document(),
        "task": prepared.task.name,
        "arms": list(dict.fromkeys(point.arm for point in prepared.points)),
        "keys": [job.key for job in prepared.targets],
        "jobs": [job.key for job in jobs],
        "trainings": [_training(job, points.get(job.key)) for job in jobs if isinstance(job, Trained)],
    }


def _created(note: bytes) -> dict[str, str]:
    try:
        return {"created": str(json.loads(note)["created"])}
    except (ValueError, KeyError, TypeError):
        return {}


def _training(job: Job, point: Point | None) -> dict[str, Any]:
    """Return whose training it is; the arm of one that is no point of the study, but on the way to one, is empty."""
    if point is None:
        return {"key": job.key, "arm": "", "replicate": None, "at": {}}
    return {"key": job.key, "arm": point.arm, "replicate": point.replicate, "at": dict(point.at)}


def _write_derivation(prepared: Study, store: Store) -> None:
    """Write a study's derivation beside its note, unless it is there: values too, which the store holds nowhere else.

    A node has its document, its key, its words, the role that it plays (job, masks, value) and, of a job, its steps.
    """
    path = store.study_folder(prepared.id) / DERIVATION
    if path.exists():
        return
    document = {
        "format": DERIVATION_FORMAT,
        "id": prepared.id,
        "points": [
            {"key": point.job.key, "arm": point.arm, "replicate": point.replicate, "at": dict(point.at)}
            for point in prepared.points
        ],
        "nodes": [_described(node) for node in derivation(*prepared.targets).values()],
    }
    write_file(path, (json.dumps(document, allow_nan=False, ensure_ascii=False) + "\n").encode())


def _described(node: Node) -> dict[str, Any]:
    role = "job" if isinstance(node, Job) else "masks" if isinstance(node, MasksNode) and node.stored else "value"
    steps = {"steps": node.steps} if isinstance(node, Job) else {}
    return node.document | {"key": node.key, "words": node.words(), "role": role} | steps
