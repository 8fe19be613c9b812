"""Options of the command line, made from the settings of a study: one source for names, help, defaults and checks."""

import inspect
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import Group, Parameter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lth.cli.errors import UsageError, settings_as_usage
from lth.config import Running, SettingsError, StudySettings, as_settings_error, check_choice, expand_sweep, flat_fields
from lth.config.settings import setting_names, usual_text
from lth.config.yaml_file import read_table
from lth.studies import StudyType, settings_of

POSITIONAL = ("model", "data", "folder")

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""Something that is off unless it is asked for."""

Several = Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)]
"""An option that may be given several times."""

FIRST = "Most used"

ALWAYS = ("replicates", "duration", "workers")
"""Options that help shows first of every study, behind those that the study names; presets come last."""

ORDER = (FIRST, "Study", "Pruning", "Pruning within training", "Supermask", "Training", "Running")

CONFIG = "YAML file of these options (and a sweep); the command line wins"
"""What `--config` is."""

_EXTRA = {"preset": str, "config": Path}
"""Options that are no settings, and what they take."""

Command = Callable[[StudyType[Any], Sequence[StudySettings], Running], int]
"""(study, the settings of each one that is asked for, where to run) -> exit code"""


def study_command(study: StudyType[Any], command: Command) -> Callable[..., int]:
    """Return a command-line function whose options are the settings of a study, those of Running, and `--config`.

    The wrapped command gets the settings of each study (several, if the file holds a sweep), and where to run. Only
    what the user wrote is in them: presets fill the rest later. The defaults in help are those of the usual preset.
    """

    places = (study.files,) if study.files else (study.stored, "folder") if study.stored else POSITIONAL

    def parse(*positional: Any, **given: Any) -> int:
        given |= dict(zip(places, positional, strict=False))
        if study.files:
            given |= _sorted_files(study.files, given.get(study.files), given.get("folder"))
        given = {name: value for name, value in given.items() if value is not None}
        with settings_as_usage():
            return command(study, *read_settings(study, given.pop("config", None), given))

    usual = settings_of(study, {}).flat()
    fields = {
        name: (info, usual.get(name, default), group) for name, info, default, group in flat_fields(study.settings)
    }
    fields |= {info.alias or name: (info, info.default, "Running") for name, info in Running.model_fields.items()}
    presets = ("preset",) if study.presets else ()
    first = [*places, *study.first, *ALWAYS, *presets, "config"]
    own = [name for name in study.settings.model_fields if name in fields and name not in StudySettings.model_fields]
    parameters = []
    for name in dict.fromkeys([*first, *own, *fields]):
        if name in _EXTRA:
            parameters.append(_keyword(name, _EXTRA[name], _preset_words(study) if name == "preset" else CONFIG, FIRST))
            continue
        info, default, group = fields[name]
        parameters.append(
            _parameter(name, info, default, FIRST if name in first else group, places, name == study.files)
        )
    parse.__name__ = study.name.replace("-", "_")
    parse.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": int}
    vars(parse)["__signature__"] = inspect.Signature(parameters, return_annotation=int)
    return parse


def _preset_words(study: StudyType[Any]) -> str:
    """Return which whole settings a study has by name."""
    several = "".join(f"; {name}: all of {', '.join(group)}" for name, group in study.groups.items())
    grouped = {name for group in study.groups.values() for name in group}
    single = ", ".join(name for name in study.presets if name not in grouped)
    return f"whole settings by name: {single}{several} [default: the one of the model and data]"


def running_parameters(left_out: Collection[str] = ()) -> list[inspect.Parameter]:
    """Return the options of Running alone, without some."""
    fields = {info.alias or name: info for name, info in Running.model_fields.items() if name not in left_out}
    return [_parameter(name, info, info.default, "Running", (), False) for name, info in fields.items()]


def defaults_in_words(study: StudyType[Any]) -> str:
    """Return whose defaults help shows, and where others differ."""
    usual, general = settings_of(study, {}).flat(), study.settings().flat()
    differing = {name: value for name, value in general.items() if value != usual[name]}
    options = " ".join(f"--{name.replace('_', '-')} {usual_text(value)}" for name, value in differing.items())
    whose = f"Defaults shown are those of {usual['model']} on {usual['data']}."
    return f"{whose} Models and data sets without a preset have {options}." if options else whose


def read_settings(
    study: StudyType[Any], path: Path | None, given: dict[str, Any], prefix: str = ""
) -> tuple[list[StudySettings], Running]:
    """Return the settings of each study and where to run, from a YAML file and what stands on the command line.

    Args:
        study: their kind.
        path: the file.
        given: what the command line says, or a file that was read.
        prefix: what errors begin with.
    Raises:
        UsageError: if the file cannot be read, or a setting is unknown or out of range.
    """
    document = read_yaml(path) if path else {}
    prefix = f"{path}: " if path else prefix
    if (kind := document.pop("run", study.name)) != study.name:
        raise UsageError(f"{path} is of {kind}: `lth run {path}`, or `lth {kind} --config {path}`")
    given = dict(given)
    sweep = document.pop("sweep", given.pop("sweep", None))
    merged = document | given | ({} if sweep is None else {"sweep": sweep})
    running_names = [info.alias or name for name, info in Running.model_fields.items()]
    try:
        with as_settings_error():
            for name in merged:
                check_choice("setting", name, [*setting_names(study.settings), *running_names, "preset", "sweep"])
            running = Running(**{name: value for name, value in merged.items() if name in running_names})
            swept = expand_sweep({name: value for name, value in merged.items() if name not in running_names})
            wanted = [settings for each in swept for settings in _of_group(study, each)]
            studies = [settings_of(study, _filled(study, settings, running.store)) for settings in wanted]
            if running.allow_partial:
                from lth.launch.partial import allowing_partial  # loads torch, which help does without

                studies = [allowing_partial(each) for each in studies]
    except SettingsError as error:
        raise UsageError(f"{prefix}{error}") from error
    return studies, running


def _filled(study: StudyType[Any], settings: dict[str, Any], store: Path) -> dict[str, Any]:
    """Return settings, with the rest from the stored study that they name, where they do."""
    if not study.stored or not settings.get(study.stored):
        return settings
    from lth.launch.stored import filled  # loads torch, which help does without

    return filled(study, settings, store)


def _of_group(study: StudyType[Any], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return these settings for each preset of a group, where `preset` names one."""
    presets = study.groups.get(settings.get("preset", ""))
    return [settings] if presets is None else [settings | {"preset": name} for name in presets]


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the table in a YAML file.

    Raises:
        UsageError: if it cannot be read, or is none.
    """
    with settings_as_usage():
        document = read_table(path, "a table of settings, as `levels: 12`")
    return {name.replace("-", "_"): value for name, value in document.items()}


def _group(name: str) -> Group:
    return Group(name, sort_key=ORDER.index(name) if name in ORDER else len(ORDER))


def _keyword(name: str, kind: type, words: str, group: str) -> inspect.Parameter:
    annotation = Annotated[kind | None, Parameter(help=words, group=_group(group))]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _sorted_files(name: str, files: list[str] | None, folder: Path | None) -> dict[str, Any]:
    """Return files as a setting; a folder among them is that of the data, where none is named.

    Raises:
        UsageError: if there are several folders.
    """
    folders = [each for each in files or () if Path(each).expanduser().is_dir()]
    if len(folders) + (folder is not None) > 1:
        raise UsageError(f"found {len(folders)} folders: give the folder of the data alone, and files")
    kept = [each for each in files or () if each not in folders]
    return ({name: kept} if kept else {name: None}) | ({"folder": Path(folders[0])} if folders else {})


def _parameter(
    name: str, info: FieldInfo, default: Any, group: str, places: Sequence[str], is_list: bool
) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if name in places else inspect.Parameter.KEYWORD_ONLY
    # A flag of the study may be on in a preset, and then there must be a way to turn it off.
    flag: dict[str, Any] = {"negative": ""} if is_list or (info.annotation is bool and group == "Running") else {}
    is_several = group == "Running" and get_origin(info.annotation) is tuple
    if is_several:
        flag = {"negative": "", "consume_multiple": False}
    words = f"{info.description}{_default(info, default)}"
    parameter = Parameter(help=words, show_default=False, group=_group(group), **flag)
    takes = list[str] | None if is_list or is_several else _option_type(info)
    return inspect.Parameter(name, kind, default=None, annotation=Annotated[takes, parameter])


def _option_type(info: FieldInfo) -> Any:
    """Return numbers, flags and paths as they are; all else is text that the settings parse and check themselves."""
    annotation = info.annotation
    if annotation is bool:
        return bool | None
    union = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    plain = [part for part in union if part in (int, float)]
    if Path in union:
        return Path | None
    return plain[0] | None if plain else str | None


def _default(info: FieldInfo, default: Any) -> str:
    if default in (None, "", PydanticUndefined) or info.annotation is bool or "[default" in (info.description or ""):
        return ""
    return f" [default: {usual_text(default)}]"
