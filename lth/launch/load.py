"""From names and objects to studies that are ready: models, data and functions are loaded, once each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lth.config import StudySettings, as_settings_error, check_choice
from lth.config.settings import setting_names
from lth.data import Data, load_data, needs_tokens, tokenised
from lth.data.wordpieces import locate_vocabulary
from lth.launch.foreign_model import ForeignModel, foreign_model
from lth.launch.weights_place import weights_place
from lth.lineage.foreign import pretrained_digest
from lth.lineage.nested import refuse_nested
from lth.models import Factory, resolve_factory, resolve_function
from lth.studies import StudyType
from lth.studies.make_subject import Loaded
from lth.studies.prepare import Study, prepare

FromFiles = Callable[[Any, Data, Callable[[str], bool]], StudySettings]


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
    loader = _Loader(folder, given or Given())
    studies = []
    for wanted in settings:
        main = loader.load(wanted, study_type.from_files)
        further = {} if study_type.others is None else study_type.others(main.settings)
        others = {name: loader.load(each) for name, each in further.items()}
        with as_settings_error():  # all is loaded: what does not fit now are settings
            live = main.factory, main.data, main.functions, main.weights, main.model
            studies.append(prepare(study_type, main.settings, *live, others))
    return studies


@dataclass(frozen=True, slots=True)
class _Loader:
    """Loads what settings name, each data set and each file of weights once."""

    folder: Path | None
    given: Given
    data: dict[str, Data] = field(default_factory=dict)
    rows: dict[tuple[str, Path | None, bool], Data] = field(default_factory=dict)
    weights: dict[str, tuple[str, Path]] = field(default_factory=dict)

    def load(self, wanted: StudySettings, from_files: FromFiles | None = None) -> Loaded:
        """Return settings with the live objects that they name, and what follows from files among them filled in."""
        if wanted.data not in self.data:
            self.data[wanted.data] = self.given.data.get(wanted.data) or load_data(wanted.data, self.folder)
        data, folder = self.data[wanted.data], self.folder
        if from_files is not None:
            with as_settings_error():
                wanted = from_files(wanted, data, lambda name: foreign_model(name, folder) is not None)
        recipe = wanted.training
        factory = self.given.models.get(wanted.model)
        foreign = foreign_model(wanted.model, folder) if factory is None else None
        factory = factory or resolve_factory(foreign.name if foreign else wanted.model)
        if needs_tokens(data):
            data = self._tokenised(wanted, data, foreign)
        names = [name for name in (recipe.train, recipe.evaluate) if name is not None]
        functions = {name: self.given.functions.get(name) or resolve_function(name) for name in names}
        start = wanted.start_from or (str(foreign.weights) if foreign and foreign.weights else None)
        if start is not None and start not in self.weights:
            place = weights_place(start)
            self.weights[start] = pretrained_digest(place), place
        pretrained = None if start is None else self.weights[start]
        model = None
        if foreign:
            with as_settings_error():
                model = foreign.name, foreign.arguments(recipe.task or data.task)
        return Loaded(wanted, factory, data, functions, pretrained, model)

    def _tokenised(self, wanted: StudySettings, data: Data, foreign: ForeignModel | None) -> Data:
        place, types = (foreign.place, foreign.has_types) if foreign else (locate_vocabulary(self.folder), True)
        if (wanted.data, place, types) not in self.rows:
            if foreign:
                with as_settings_error():
                    foreign.check_texts(data, wanted.training.task or data.task)
            self.rows[wanted.data, place, types] = tokenised(data, place, types=types)
        return self.rows[wanted.data, place, types]


def check_known(study_type: StudyType[Any], settings: Mapping[str, Any], keywords: Iterable[str]) -> None:
    """Check that settings are among a study's.

    Args:
        study_type: its kind.
        settings: what was given.
        keywords: of the function that was called, which may have been meant.
    Raises:
        ValueError: if one is not; suggests the nearest.
    """
    for name in settings:
        check_choice("setting", name, [*setting_names(study_type.settings), "preset", *keywords])


def name_of(function: Callable[..., Any], advice: str) -> str:
    """Return the name of a function for records.

    Raises:
        ValueError: if it has none of its own: two of its kind would share their results.
    """
    if getattr(function, "__qualname__", "<lambda>").endswith("<lambda>"):
        raise ValueError(f"this function has no name of its own: give it one ({advice})")
    return f"{function.__module__}:{function.__qualname__}"
