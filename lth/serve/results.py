"""One result: where it is found, its picture, its settings, what it reached and how it came about."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lth.analysis.notes import DERIVATION
from lth.config.json_text import parse_json
from lth.report.words import plain_fields
from lth.serve.catalogue import Catalogue, Entry, Signature, signature_of
from lth.serve.derivation import Derivation, Place, Step, read_derivation, read_manifest, stored_derivation
from lth.serve.picture import Picture, picture, state_of

DEPTHS: dict[str, int | None] = {"": 6, "12": 12, "all": None}
"""Steps back that a picture shows, as an address says it."""


@dataclass(frozen=True, slots=True)
class Result:
    """A result that was looked up: its study, where one is known to have it, and a derivation that holds it."""

    key: str
    study: Entry | None
    derivation: Derivation


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page of a result shows."""

    step: Step
    study: Entry | None
    picture: Picture
    depth: str
    state: str
    at: int
    by: str
    places: list[Place]
    settings: dict[str, str]
    inputs: list[tuple[str, Step]]
    users: list[Step]
    values: dict[str, str]
    provenance: dict[str, str]
    files: list[tuple[str, int, str]]
    studies: list[Entry]
    is_noted: bool


def find_result(given: str, study: str, catalogue: Catalogue) -> Result | str:
    """Return the result of this key, or beginning of a key; why there is none otherwise.

    Args:
        given: 8 to 64 hexadecimal digits.
        study: ID of a study whose derivation has it; empty where it is not known.
        catalogue: of the store.
    """
    if not re.fullmatch(r"[0-9a-f]{8,64}", given):
        return "a key is 64 hexadecimal digits; 8 are enough where one result alone begins so"
    entry = catalogue.get(study) if study else None
    entries = [entry] if entry else [each for each in catalogue.entries() if _has_job(each, given)][:1]
    for each in entries:
        derivation = noted(each.folder)
        keys = [key for key in derivation.steps if key.startswith(given)] if derivation else []
        if derivation and len(keys) == 1:
            return Result(keys[0], each, derivation)
    keys = catalogue.objects.starting_with(given)
    if len(keys) != 1:
        return f"{len(keys)} results begin with {given[:12]}" if keys else f"the store has no result {given[:12]}"
    stored = stored_derivation(keys[0], catalogue.objects)
    for each in catalogue.entries():  # masks and states are of the study whose trainings they stand on
        derivation = noted(each.folder) if any(key in stored.steps for key in each.jobs) else None
        if derivation and keys[0] in derivation.steps:
            return Result(keys[0], each, derivation)
    return Result(keys[0], next(iter(entries), None), stored)


def _has_job(entry: Entry, given: str) -> bool:
    return given in entry.jobs if len(given) == 64 else any(key.startswith(given) for key in entry.jobs)


def noted(folder: Path) -> Derivation | None:
    """Return the derivation that a study noted, kept while its file stays."""
    return _noted(folder, signature_of(folder / DERIVATION))


@lru_cache(maxsize=16)
def _noted(folder: Path, _: Signature) -> Derivation | None:
    return read_derivation(folder)


def result_page(found: Result, depth: str, catalogue: Catalogue) -> Shown:
    """Return what the page of a result shows, its picture as far back as `depth` (of DEPTHS) says."""
    derivation, objects, key = found.derivation, catalogue.objects, found.key
    step = derivation.steps[key]
    work = {each: work.holder for each, work in objects.work().items()}
    begun = objects.steps_begun([each for each in derivation.steps if each not in objects])
    place = f"?study={found.study.id}" if found.study else ""
    drawn = picture(
        derivation,
        key,
        DEPTHS[depth],
        lambda each: state_of(each, each.key in objects, begun, work),
        lambda each: f"/result/{each}{place}",
    )
    manifest = read_manifest(key, objects) if key in objects else None
    inputs = dict(step.inputs)
    return Shown(
        step=step,
        study=found.study,
        picture=drawn,
        depth=depth,
        state=state_of(step, key in objects, begun, work),
        at=begun.get(key, 0),
        by=work.get(key, ""),
        places=list(derivation.places.get(key, ())),
        settings=plain_fields({name: value for name, value in step.fields.items() if name not in inputs}),
        inputs=[(name, derivation.steps[each]) for name, each in step.inputs if each in derivation.steps],
        users=[derivation.steps[each] for each in derivation.users(key)],
        values=_values(objects.folder(key) / "metrics.json") if manifest else {},
        provenance=plain_fields(manifest["provenance"]) if manifest else {},
        files=_files(manifest, objects.folder(key)) if manifest else [],
        studies=[each for each in catalogue.entries() if key in each.jobs],
        is_noted=bool(derivation.places),
    )


def _values(path: Path) -> dict[str, str]:
    """Return what a measurement reached at its end; nothing where it is damaged, or of another form."""
    try:
        document = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    end = document.get("end") if isinstance(document, dict) else None
    if not isinstance(end, Mapping):
        return {}
    return {str(name): f"{value:.6g}" for name, value in end.items() if isinstance(value, int | float)}


def _files(manifest: dict[str, Any], folder: Path) -> list[tuple[str, int, str]]:
    found = []
    for name, checksum in manifest["files"].items():
        signature = signature_of(folder / Path(str(name)).name)
        found.append((str(name), signature[1] if signature else 0, str(checksum)))
    return found
