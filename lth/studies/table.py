"""The studies by name: commands, `plan`, `ls`, `show`, `report` and Python functions come from this table."""

import warnings
from typing import Any

from lth.config import SettingsError, StudySettings, Table, as_settings_error
from lth.config.text import without_partial
from lth.studies.ablate import ABLATE
from lth.studies.connect import CONNECT
from lth.studies.few_shot import FEW_SHOT
from lth.studies.find_ticket import FIND_TICKET
from lth.studies.merge import MERGE
from lth.studies.regrow import REGROW
from lth.studies.remove import REMOVE
from lth.studies.rewinding import REWINDING
from lth.studies.selective_noise import SELECTIVE_NOISE
from lth.studies.sparsify import SPARSIFY
from lth.studies.stability import STABILITY
from lth.studies.study_type import StudyType
from lth.studies.supermask import SUPERMASK
from lth.studies.train import TRAIN
from lth.studies.transfer import TRANSFER

ALL = (
    FIND_TICKET,
    TRAIN,
    SPARSIFY,
    SUPERMASK,
    CONNECT,
    STABILITY,
    FEW_SHOT,
    REWINDING,
    TRANSFER,
    MERGE,
    REMOVE,
    REGROW,
    SELECTIVE_NOISE,
    ABLATE,
)

STUDIES: Table[StudyType[Any]] = Table("study", {each.name: each for each in ALL})
"""Studies by name: each is a command of `lth`, and `lth.study(name)`."""


def settings_of(study: StudyType[Any], given: dict[str, Any]) -> StudySettings:
    """Return whole settings: a preset, with what is given on top.

    The preset is that of the name under `preset`, else the first one of the model and data set that are given, else
    what is usual for these.

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
        wanted = wanted[0], without_partial(wanted[1])
        fitting = (make() for make in presets.values())
        base = next((each for each in fitting if (each.model, each.data) == wanted), None)
        if base is None and study.usual is not None:
            base = study.usual(*wanted)
    usual = {} if base is None else base.flat(only_changed=True)
    if given.get("batch_size") is not None:
        if given.get("batch_tokens") is not None:
            raise SettingsError("batch_size, batch_tokens: both say how large a batch is; leave one out")
        usual.pop("batch_tokens", None)
    if given.get("per_level") is not None:
        usual.pop("rate", None)  # one way to count stands in place of the other; both at once are refused
    elif "rate" in given:
        usual.pop("per_level", None)
    with as_settings_error():
        settings: StudySettings = study.settings(**(usual | given))
    if base is not None:
        _warn_of_small_batch(base, settings)
    return settings.as_written(given.keys())


def _warn_of_small_batch(preset: StudySettings, settings: StudySettings) -> None:
    usual, asked = preset.training.batch_tokens, settings.training.batch_tokens
    if usual is not None and asked is not None and asked < usual:
        warnings.warn(
            f"{asked:,} tokens a step are fewer than the {usual:,} of the preset: most reports of a loss that is stuck "
            "come from that",
            stacklevel=3,
        )
