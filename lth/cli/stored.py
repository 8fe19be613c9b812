"""From a name on the command line to what the store holds."""

from pathlib import Path
from typing import TYPE_CHECKING

from lth.analysis.labels import folders_called, unknown_study
from lth.analysis.notes import StudyNote, read_note
from lth.cli.errors import CommandError
from lth.config import Running

if TYPE_CHECKING:
    from lth.studies.prepare import Study


def store_option(store: Path) -> str:
    """Return the option that names a store to a command, with a blank before it; nothing for the usual store."""
    return "" if store == Running().store else f" --store {store}"


def study_documents(store: Path) -> list[StudyNote]:
    """Return what the store notes of its studies, oldest first.

    Raises:
        CommandError: if a note is damaged.
    """
    try:
        notes = [read_note(path) for path in store.glob("studies/*/study.json")]
    except ValueError as error:
        raise CommandError(str(error)) from error
    return sorted(notes, key=lambda note: note["created"])


def find_study(name: str, store: Path) -> StudyNote | None:
    """Return the one study of this name, or whose ID starts with this; or None.

    Raises:
        CommandError: if several do, or a note is damaged.
    """
    try:
        notes = [read_note(path) for each in folders_called(name, store) if (path := each / "study.json").exists()]
    except ValueError as error:
        raise CommandError(str(error)) from error
    if len(notes) > 1:
        raise CommandError(f"{name!r} is short for several studies: {', '.join(each['id'] for each in notes)}")
    return notes[0] if notes else None


def stored_study(name: str, store: Path) -> StudyNote:
    """Return the one study of this name, or whose ID starts with this.

    Raises:
        CommandError: if there is none, there are several, or a note is damaged.
    """
    note = find_study(name, store)
    if note is None:
        raise CommandError(str(unknown_study(name, store)))
    return note


def load_stored(name: str, store: Path, folder: Path | None) -> "Study":
    """Return the study of this name, or whose ID starts with this, with its model and data loaded.

    Args:
        name: the name, the ID, or its beginning.
        store: folder of results.
        folder: where data files are looked for.
    Raises:
        CommandError: if the store holds no such study, or it cannot be loaded from its settings.
    """
    from lth.launch.stored import load_noted

    note = stored_study(name, store)
    try:
        return load_noted(note, folder)
    except ValueError as error:
        raise CommandError(str(error)) from error
