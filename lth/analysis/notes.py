"""What a store notes of a study when it begins: what it is, the keys of all that it needs, how these are derived."""

from pathlib import Path
from typing import Any, TypedDict

from lth.config.json_text import parse_json

DERIVATION = "derivation.json"
"""The file in a study's folder of the store that has its derivation, as `lth.launch` writes it before it builds."""

DERIVATION_FORMAT = "lth.derivation/1"


PLACE = "place.json"
"""The file in a study's folder of the store that names the folder of its report."""


class StudyNote(TypedDict):
    """What the store notes of a study: `keys` are of its measurements, `jobs` of all that they stand on too.

    `task` and `arms` are empty in notes of an older lth.
    """

    id: str
    study: str
    created: str
    config: dict[str, Any]
    keys: list[str]
    jobs: list[str]
    task: str
    arms: list[str]
    folder: Path


def read_note(path: Path) -> StudyNote:
    """Return the note in a study.json.

    Raises:
        ValueError: if it is damaged; the message says what to do.
    """
    try:
        document = parse_json(path.read_text())
        keys = document["keys"] if "keys" in document else [run["key"] for run in document["runs"]]
        note: StudyNote = {
            "id": document["id"],
            "study": str(document.get("study", "find-ticket")),
            "created": str(document["created"]),
            "config": document["config"],
            "keys": keys,
            "jobs": document.get("jobs", keys),
            "task": str(document.get("task", "")),
            "arms": [str(arm) for arm in document.get("arms", [])],
            "folder": path.parent,
        }
        lists = (note["keys"], note["jobs"])
        if not isinstance(note["config"], dict) or not all(isinstance(each, list) for each in lists):
            raise TypeError("its config, keys or jobs are of another type")
        if not all(isinstance(key, str) for keys in lists for key in keys):
            raise TypeError("a key is no text")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): remove the folder {path.parent}; its trainings are kept"
        ) from error
    return note


def report_folder(study: Path) -> Path | None:
    """Return the folder of a study's report, if the results there are still those of this study.

    Args:
        study: its folder in the store.
    """
    try:
        folder = Path(parse_json((study / PLACE).read_text())["folder"])
        is_same = parse_json((folder / "results.json").read_text())["id"] == study.name
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if is_same else None
