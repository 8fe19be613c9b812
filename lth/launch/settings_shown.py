"""How a page lists a study's settings: those unlike the preset first, then the rest in the order of help."""

import warnings
from typing import Any

from lth.analysis.documents import SettingsDocument
from lth.analysis.settings_apart import FILLED_IN, is_unset
from lth.config import flat_fields
from lth.studies import StudyType
from lth.studies.prepare import Study
from lth.studies.table import settings_of

FOLLOWS = "From model and data"


def settings_document(prepared: Study) -> SettingsDocument:
    """Return the names of a study's settings as its page lists them; those that are not set are left out.

    The preset is that of the study's model and data.
    """
    config = {name: value for name, value in prepared.document().items() if not is_unset(value)}
    usual = _usual(prepared.type, config)
    groups = {name: group for name, _, _, group in flat_fields(prepared.type.settings)}
    filled = {name for name in FILLED_IN if is_unset(usual.get(name))}
    if usual.get("batch_tokens") is not None and "batch_tokens" not in config:
        filled |= {"batch_size"}
    changed: list[str] = []
    rest: dict[str, list[str]] = {group: [] for group in groups.values()}
    for name in dict.fromkeys([*(name for name in groups if name in config), *config]):
        if name not in groups or name in filled:
            rest.setdefault(FOLLOWS, []).append(name)
        elif usual.get(name) == config[name]:
            rest[groups[name]].append(name)
        else:
            changed.append(name)
    return {"changed": changed, "groups": {group: names for group, names in rest.items() if names}}


def _usual(kind: StudyType[Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return the preset of the study's model and data; the defaults where they allow none."""
    given = {name: value for name in ("model", "data") if isinstance(value := config.get(name), str)}
    try:
        with warnings.catch_warnings(action="ignore"):
            return settings_of(kind, given).flat() | given
    except ValueError:  # as of a study that has settings without a default
        return {name: default for name, _, default, _ in flat_fields(kind.settings)} | given
