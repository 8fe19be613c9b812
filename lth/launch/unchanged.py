"""Whether a study's report already is what would be written: then a run that trains nothing writes nothing either."""

import hashlib
import json
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lth
from lth.analysis.documents import read_documents
from lth.analysis.labels import read_labels
from lth.analysis.notes import PLACE
from lth.config.json_text import parse_json
from lth.launch.energy import FILE as ENERGY
from lth.launch.found import Found
from lth.lineage import Job, Store, derivation, json_to_bytes, write_file
from lth.studies import STUDIES
from lth.studies.prepare import Study

RECORD = "concluded.json"
"""The file in a study's folder of the store that says what its report was made of, and how it was left."""

REWRITTEN = "config.yaml"
"""The file that each run writes anew."""

DRAWN_BY = ("altair", "jinja2", "numpy", "pandas", "scipy", "torch", "vl-convert-python")


def read_unchanged(prepared: Study, store: Store, folder: Path) -> Found | None:
    """Return what a study left in a folder, if its report would be written again as it is; else None."""
    try:
        record = parse_json((store.study_folder(prepared.id) / RECORD).read_text())
        if record["files"] != _files(prepared, store, folder) or record["made_of"] != made_of(prepared, store):
            return None
        return Found(read_documents(folder)[0], folder, {})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note_concluded(prepared: Study, store: Store, found: Found) -> None:
    """Note what a report was made of. Nothing is noted where jobs were left out: another run may do them."""
    if found.skipped or (digest := made_of(prepared, store)) is None:
        return
    record = {"made_of": digest, "files": _files(prepared, store, found.folder)}
    write_file(store.study_folder(prepared.id) / RECORD, json_to_bytes(record))


def made_of(prepared: Study, store: Store) -> str | None:
    """Return a digest of all that decides a report: the study, its results, this code; None if that cannot be told.

    The code of a study type that is not of this package, and of functions of the user's own, cannot be told.
    """
    recipe = prepared.subject.training
    if STUDIES.get(prepared.type.name) is not prepared.type or recipe.function is not None:
        return None
    keys = sorted(node.key for node in derivation(*prepared.targets).values() if isinstance(node, Job))
    energy = store.study_folder(prepared.id) / ENERGY
    labels = read_labels(store.study_folder(prepared.id))
    parts = {
        "id": prepared.id,
        "config": prepared.document(),
        "points": [[point.arm, point.replicate, dict(point.at), point.job.key] for point in prepared.points],
        "results": [folder.stat().st_mtime_ns if (folder := store.folder(key)).is_dir() else None for key in keys],
        "notes": list(prepared.notes),
        "labels": [labels.name, *labels.tags],  # a command more changes nothing
        "energy": energy.read_text() if energy.exists() else "",
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


@cache
def _code() -> str:
    """Return a digest of this package's files and of the versions of those that compute and draw."""
    digest = hashlib.sha256(sys.version.encode())
    for name in DRAWN_BY:
        try:
            digest.update(version(name).encode())
        except PackageNotFoundError:
            digest.update(b"none")
    for root in lth.__path__:
        for path in sorted(path for path in Path(root).rglob("*") if path.is_file() and path.suffix != ".pyc"):
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(prepared: Study, store: Store, folder: Path) -> dict[str, Any]:
    """Return size and time of each file of the report and of its copies in the store."""
    kept = [store.study_folder(prepared.id) / name for name in ("results.json", "details.json", PLACE)]
    left = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != REWRITTEN]
    stats = {str(path.resolve()): path.stat() for path in (*kept, *left)}
    return {name: [each.st_size, each.st_mtime_ns] for name, each in stats.items()}
