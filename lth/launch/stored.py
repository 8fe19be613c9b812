"""Studies by their name or the beginning of their ID, from what the store notes of them."""

from pathlib import Path
from typing import Any

from lth.analysis.labels import folders_called, read_labels
from lth.analysis.notes import StudyNote
from lth.config import SettingsError, as_settings_error, flat_fields
from lth.config.json_text import parse_json
from lth.launch.load import load_studies
from lth.studies import STUDIES, StudyType
from lth.studies.prepare import Study


def filled(study: StudyType[Any], settings: dict[str, Any], store: Path) -> dict[str, Any]:
    """Return settings of a kind of study that goes on from a stored one, with the rest from that one.

    A whole configuration, as a study leaves it in its folder, stands by itself where the store lacks that study.

    Raises:
        SettingsError: if the store lacks it, or what is given does not fit it.
    """
    assert study.from_study is not None
    name = str(settings[study.stored])
    if {"model", "data", "levels"} <= settings.keys() and not folders_called(name, store):
        return settings
    kind, config = settings_of_study(name, store, "`lth ls` lists them", what="")
    [folder] = (path.name for path in folders_called(name, store))
    with as_settings_error():
        return study.from_study(settings, folder, kind, config)


def settings_of_study(name: str, store: Path, advice: str, what: str = "file") -> tuple[str, dict[str, Any]]:
    """Return the kind and the settings of the one study that a name means.

    Args:
        name: of the study, or the beginning of its ID.
        store: where studies are noted.
        advice: what else could be named, for the message.
        what: what the name could be besides.
    Raises:
        SettingsError: if there is none, or several.
        ValueError: if its note is damaged.
    """
    folders = folders_called(name, store)
    if len(folders) != 1:
        ids = ", ".join(path.name for path in folders)
        none = f"is no {what}, and no study" if what else "is no study"
        wrong = f"is short for several studies: {ids}" if folders else f"{none} of the store {store}"
        raise SettingsError(f"{name!r} {wrong}; {advice}")
    path = folders[0] / "study.json"
    try:
        note = parse_json(path.read_text())
        kind, config = note.get("study", "find-ticket"), dict(note["config"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}): remove its folder; trainings are kept") from error
    names = {each for each, *_ in flat_fields(STUDIES.pick(kind).settings)}
    return kind, {key: value for key, value in config.items() if key in names}


def load_noted(note: StudyNote, folder: Path | None = None) -> Study:
    """Return a study that the store notes, with its model, data and functions loaded by their names.

    Args:
        note: of the study.
        folder: where data files are looked for.
    Raises:
        ValueError: if something cannot be loaded by its name, or is no longer what it was; names the command that made
            the study.
    """
    study_type = STUDIES.pick(note["study"])
    names = {each for each, *_ in flat_fields(study_type.settings)}
    try:
        with as_settings_error():
            settings = study_type.settings(**{each: value for each, value in note["config"].items() if each in names})
        [prepared] = load_studies(study_type, [settings], folder)
    except ValueError as error:
        raise ValueError(f"study {note['id']} cannot be loaded from its settings: {error}. {_again(note)}") from error
    if prepared.id != note["id"]:
        raise ValueError(
            f"study {note['id']} is another one by now ({prepared.id}): its model or data changed, or lth did. "
            f"{_again(note)}"
        )
    return prepared


def _again(note: StudyNote) -> str:
    """Return how the study goes on where it is not loaded from its settings."""
    commands = [each for each in read_labels(note["folder"]).commands if not each.command.startswith("lth resume ")]
    if not commands:
        return "Run the command or script that made it again: it goes on from what is done"
    return f"What made it goes on from what is done: {commands[-1].command}"
