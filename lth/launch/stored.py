"""Studies by the beginning of their ID, from what the store notes of them."""

import json
from pathlib import Path
from typing import Any

from lth.config import SettingsError, flat_fields
from lth.studies import STUDIES


def settings_of_study(name: str, store: Path, advice: str) -> tuple[str, dict[str, Any]]:
    """Return the kind and the settings of the one study whose ID starts with a name.

    Args:
        name: beginning of the ID.
        store: where studies are noted.
        advice: what else could be named, for the message.
    Raises:
        SettingsError: if there is none, or several.
        ValueError: if its note is damaged.
    """
    folders = sorted(path for path in store.glob("studies/*") if name and path.name.startswith(name))
    if len(folders) != 1:
        ids = ", ".join(path.name for path in folders)
        what = f"is short for several studies: {ids}" if folders else f"is no file, and no study of the store {store}"
        raise SettingsError(f"{name!r} {what}; {advice}")
    path = folders[0] / "study.json"
    try:
        note = json.loads(path.read_text())
        kind, config = note.get("study", "find-ticket"), dict(note["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): remove its folder; trainings are kept") from error
    names = {each for each, *_ in flat_fields(STUDIES.pick(kind).settings)}
    return kind, {key: value for key, value in config.items() if key in names}
