"""From names and objects to studies that are ready: models, data and functions are loaded, once each."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lth.config import StudySettings, as_settings_error, check_choice, flat_fields
from lth.data import Data, load_data, needs_tokens, tokenised
from lth.data.wordpieces import locate_vocabulary
from lth.launch.foreign_model import foreign_model
from lth.launch.weights_place import weights_place
from lth.lineage.executors.workers import IN_WORKER
from lth.lineage.foreign import pretrained_digest
from lth.models import Factory, is_importing, resolve_factory, resolve_function
from lth.studies import StudyType
from lth.studies.prepare import Study, prepare


@dataclass(frozen=True, slots=True)
class Given:
    """Objects that stand in place of what names would load: by those names.

    Attributes:
        models: factories.
        data: data sets.
        functions: the user's own training and evaluation functions.
    """

    models: Mapping[str, Factory] = field(default_factory=dict)
    data: Mapping[str, Data] = field(default_factory=dict)
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def load_studies(
    study_type: StudyType[Any],
    settings: Sequence[StudySettings],
    folder: Path | None = None,
    given: Given | None = None,
) -> list[Study]:
    """Return the studies that some settings describe; a data set that several share is loaded once.

    Args:
        study_type: their kind.
        settings: of each study.
        folder: where data files are looked for, and downloaded to.
        given: what need not be loaded by name.
    Raises:
        SettingsError: if a name is unknown or a setting does not fit the model or the data.
        ValueError: if the data or the module of a name cannot be loaded.
    """
    refuse_nested()
    given = given or Given()
    loaded, weights = dict(given.data), dict[str, tuple[str, Path]]()
    rows = dict[tuple[str, Path | None, bool], Data]()
    studies = []
    for wanted in settings:
        if wanted.data not in loaded:
            loaded[wanted.data] = load_data(wanted.data, folder)
        data, each = loaded[wanted.data], wanted
        if study_type.from_files is not None:
            with as_settings_error():
                each = study_type.from_files(wanted, data, lambda name: foreign_model(name, folder) is not None)
        factory = given.models.get(each.model)
        foreign = foreign_model(each.model, folder) if factory is None else None
        factory = factory or resolve_factory(foreign.name if foreign else each.model)
        if needs_tokens(data):
            place, types = (foreign.place, foreign.has_types) if foreign else (locate_vocabulary(folder), True)
            if (each.data, place, types) not in rows:
                if foreign:
                    with as_settings_error():
                        foreign.check_texts(data, each.training.task or data.task)
                rows[each.data, place, types] = tokenised(data, place, types=types)
            data = rows[each.data, place, types]
        names = [name for name in (each.training.train, each.training.evaluate) if name is not None]
        functions = {name: given.functions.get(name) or resolve_function(name) for name in names}
        start = each.start_from or (str(foreign.weights) if foreign and foreign.weights else None)
        if start is not None and start not in weights:
            place = weights_place(start)
            weights[start] = pretrained_digest(place), place
        with as_settings_error():  # all is loaded: what does not fit now are settings
            pretrained = None if start is None else weights[start]
            model = (foreign.name, foreign.arguments(each.training.task or data.task)) if foreign else None
            studies.append(prepare(study_type, each, factory, data, functions, pretrained, model))
    return studies


def check_known(study_type: StudyType[Any], settings: Mapping[str, Any]) -> None:
    """Check that settings are among a study's.

    Raises:
        ValueError: if one is not; suggests the nearest.
    """
    known = [name for name, *_ in flat_fields(study_type.settings)] + ["preset", *study_type.settings.model_fields]
    for name in settings:
        check_choice("setting", name, known)


def name_of(function: Callable[..., Any], advice: str) -> str:
    """Return the name of a function for records.

    Raises:
        ValueError: if it has none of its own: two of its kind would share their results.
    """
    if getattr(function, "__qualname__", "<lambda>").endswith("<lambda>"):
        raise ValueError(f"this function has no name of its own: give it one ({advice})")
    return f"{function.__module__}:{function.__qualname__}"


def refuse_nested() -> None:
    """Refuse a search inside a worker process, or while a module is being imported for another search.

    Raises:
        ValueError: with what to do.
    """
    guard = 'put the search under `if __name__ == "__main__":`'
    if os.environ.get(IN_WORKER):
        raise ValueError(f"a search was started inside a worker process of another search: {guard}")
    if is_importing():
        raise ValueError(f"a search was started by a module that is being imported for its model or function: {guard}")
