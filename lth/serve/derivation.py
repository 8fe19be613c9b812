"""What a result is derived from and what stands on it: from the derivations of studies, else from manifests alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lth.analysis.notes import DERIVATION, DERIVATION_FORMAT
from lth.config.json_text import parse_json
from lth.serve.objects import KEY, Objects


@dataclass(frozen=True, slots=True)
class Place:
    """Where a study measures a result."""

    arm: str
    replicate: int
    at: Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Step:
    """One node: `role` is job, masks, value, or unknown for one that nothing on disk describes."""

    key: str
    kind: str
    words: str
    role: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[tuple[str, str], ...] = ()  # name of the field, key
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Derivation:
    """Nodes by key, inputs first, and the places at which a study measures some of them."""

    steps: Mapping[str, Step]
    places: Mapping[str, Sequence[Place]] = field(default_factory=dict)

    def users(self, key: str) -> list[str]:
        """Return the nodes that are derived from this one."""
        return [step.key for step in self.steps.values() if any(each == key for _, each in step.inputs)]

    def behind(self, key: str) -> set[str]:
        """Return all nodes that this one is derived from, itself left out."""
        found: set[str] = set()
        waiting = [key]
        while waiting:
            step = self.steps.get(waiting.pop())
            new = {each for _, each in step.inputs} - found if step else set()
            found |= new
            waiting += new
        return found - {key}


def read_derivation(folder: Path) -> Derivation | None:
    """Return the derivation that a study noted when it began; None where it has none, of an older lth or damaged."""
    try:
        document = parse_json((folder / DERIVATION).read_bytes())
        if document["format"] != DERIVATION_FORMAT:
            return None
        known = {str(node["key"]) for node in document["nodes"]}
        steps = {node["key"]: _step(node, known) for node in document["nodes"]}
        places: dict[str, list[Place]] = {}
        for point in document["points"]:
            place = Place(str(point["arm"]), int(point["replicate"]), dict(point["at"]))
            places.setdefault(point["key"], []).append(place)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Derivation(steps, places)


def _step(node: Mapping[str, Any], known: set[str]) -> Step:
    inputs = tuple((name, key) for name, key in _keys(node["fields"]) if key in known)
    steps = node.get("steps", 0)
    return Step(node["key"], str(node["kind"]), str(node["words"]), str(node["role"]), node["fields"], inputs, steps)


def _keys(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give what looks like the key of an input, with the name of its field: in tuples too, in no other table."""
    for name, value in fields.items():
        waiting = [value]
        while waiting:
            part = waiting.pop(0)
            if isinstance(part, list):
                waiting = [*part, *waiting]
            elif isinstance(part, str) and KEY.fullmatch(part):
                yield name, part


def stored_derivation(key: str, objects: Objects, most: int = 400) -> Derivation:
    """Return what manifests of finished results tell: values between them are unknown, and end the way.

    Args:
        key: of a finished result.
        objects: what is finished.
        most: nodes that are looked at.
    """
    steps: dict[str, Step] = {}
    waiting = [key]
    while waiting and len(steps) < most:
        each = waiting.pop()
        if each in steps:
            continue
        manifest = read_manifest(each, objects) if each in objects else None
        if manifest is None:
            steps[each] = Step(each, "value", "kept nowhere by itself", "unknown")
            continue
        node, files = manifest["node"], manifest["files"]
        inputs = tuple(_keys(node["fields"]))
        role = "masks" if "masks.safetensors" in files else "job" if "metrics.json" in files else "value"
        steps[each] = Step(each, str(node["kind"]), _of(node["fields"]), role, node["fields"], inputs)
        waiting += [found for _, found in inputs]
    return Derivation(steps)


def _of(fields: Mapping[str, Any]) -> str:
    """Return the plain fields of a node in a few words."""
    plain = {name: value for name, value in fields.items() if isinstance(value, str | int | float)}
    return ", ".join(
        f"{name} {value[:8] if isinstance(value, str) and KEY.fullmatch(value) else value}"
        for name, value in plain.items()
    )


def read_manifest(key: str, objects: Objects) -> dict[str, Any] | None:
    """Return the manifest of a finished result; None where it is missing or damaged."""
    if KEY.fullmatch(key) is None:
        return None
    try:
        manifest = parse_json((objects.folder(key) / "manifest.json").read_bytes())
        is_whole = isinstance(manifest["node"]["fields"], dict) and isinstance(manifest["files"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if is_whole and isinstance(manifest.get("provenance"), dict) else None
