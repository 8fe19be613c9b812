"""The studies by name: commands, `plan`, `ls`, `show`, `report` and Python functions come from this table."""

from typing import Any

from lth.config import SettingsError, StudySettings, Table, as_settings_error
from lth.studies.connect import CONNECT
from lth.studies.find_ticket import FIND_TICKET
from lth.studies.sparsify import SPARSIFY
from lth.studies.stability import STABILITY
from lth.studies.study_type import StudyType
from lth.studies.supermask import SUPERMASK

STUDIES: Table[StudyType[Any]] = Table(
    "study", {each.name: each for each in (FIND_TICKET, SUPERMASK, CONNECT, STABILITY, SPARSIFY)}
)


def settings_of(study: StudyType[Any], given: dict[str, Any]) -> StudySettings:
    """Return whole settings: a preset, with what is given on top.

    The preset is that of the name under `preset`, else the first one of the model and data set that are given.

    Raises:
        SettingsError: if a setting is unknown or out of range, or there is no such preset.
    """
    given = dict(given)
    name = given.pop("preset", None)
    if not all(isinstance(given.get(each, ""), str) for each in ("model", "data")):
        raise SettingsError("model and data are one name each; several belong into a sweep's grid")
    presets: Table[Any] = Table("preset", dict(study.presets))
    if name is not None:
        base = presets.pick(name)()
    else:
        wanted = tuple(given.get(each, study.settings.model_fields[each].default) for each in ("model", "data"))
        fitting = (make() for make in presets.values())
        base = next((each for each in fitting if (each.model, each.data) == wanted), None)
    usual = {} if base is None else base.flat(only_changed=True)
    with as_settings_error():
        settings: StudySettings = study.settings(**(usual | given))
    return settings.as_written(given.keys())
