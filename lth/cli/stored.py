"""From a name on the command line to what the store holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from lth.cli.errors import CommandError, settings_as_usage
from lth.config import check_choice
from lth.config.json_text import parse_json

if TYPE_CHECKING:
    from lth.studies.prepare import Study


class StudyNote(TypedDict):
    """What the store notes of a study: `keys` are of its measurements, `jobs` of all that they stand on too."""

    id: str
    study: str
    created: str
    config: dict[str, Any]
    keys: list[str]
    jobs: list[str]
    folder: Path


def study_documents(store: Path) -> list[StudyNote]:
    """Return what the store notes of its studies, oldest first.

    Raises:
        CommandError: if a note is damaged.
    """
    notes: list[StudyNote] = []
    for path in store.glob("studies/*/study.json"):
        try:
            document = parse_json(path.read_text())
            keys = document["keys"] if "keys" in document else [run["key"] for run in document["runs"]]
            notes.append(
                {
                    "id": document["id"],
                    "study": document.get("study", "find-ticket"),
                    "created": str(document["created"]),
                    "config": document["config"],
                    "keys": keys,
                    "jobs": document.get("jobs", keys),
                    "folder": path.parent,
                }
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CommandError(
                f"{path} is damaged ({error}): remove the folder {path.parent}; its trainings are kept"
            ) from error
    return sorted(notes, key=lambda note: note["created"])


def find_study(name: str, store: Path) -> StudyNote | None:
    """Return the one study whose ID starts with this, or None.

    Raises:
        CommandError: if several do.
    """
    fitting = [document for document in study_documents(store) if document["id"].startswith(name)]
    if len(fitting) > 1:
        raise CommandError(f"{name!r} is short for several studies: {', '.join(each['id'] for each in fitting)}")
    return fitting[0] if fitting else None


def unknown_id(name: str, store: Path) -> CommandError:
    """Return the error for an ID that the store does not hold."""
    ids = [document["id"] for document in study_documents(store)]
    if not ids:
        return CommandError(f"the store {store} holds no studies: name another with --store, or run `lth find-ticket`")
    try:
        check_choice("study", name, ids)
    except ValueError as error:
        return CommandError(f"{error}. `lth ls` lists them")
    raise AssertionError("a known study was looked for and not found")


def load_stored(name: str, store: Path, folder: Path | None) -> "Study":
    """Return the study whose ID starts with this, with its model and data loaded.

    Args:
        name: the ID, or its beginning.
        store: folder of results.
        folder: where data files are looked for.
    Raises:
        CommandError: if the store holds no such study.
    """
    from lth.config import flat_fields
    from lth.launch import load_studies
    from lth.studies import STUDIES

    note = find_study(name, store)
    if note is None:
        raise unknown_id(name, store)
    study_type = STUDIES.pick(note["study"])
    names = {each for each, *_ in flat_fields(study_type.settings)}
    with settings_as_usage():
        given = {each: value for each, value in note["config"].items() if each in names}
        return load_studies(study_type, [study_type.settings(**given)], folder)[0]
