"""Options of the command line, made from the settings themselves: one source for names, help, defaults and checks."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

from cyclopts import Group, Parameter
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from lth.cli.errors import UsageError
from lth.config import FindTicket, MaskChanges, Pruning, Recipe, Running, expand_sweep, preset
from lth.config.supermask import SupermaskSettings

POSITIONAL = ("model", "data", "folder")

Settings = TypeVar("Settings", bound=Recipe)

Json = Annotated[bool, Parameter(negative="")]
"""A flag that asks for JSON."""

GROUPS = {
    "Study": Group("Study", sort_key=1),
    "Pruning": Group("Pruning", sort_key=2),
    "Pruning within training": Group("Pruning within training", sort_key=3),
    "Supermask": Group("Supermask", sort_key=4),
    "Training": Group("Training", sort_key=5),
    "Running": Group("Running", sort_key=6),
}


def study_command(
    command: Callable[[list[dict[str, Any]], Running], int],
    config: type[Recipe] = FindTicket,
    preset: Callable[[str, str], Recipe] = preset,
) -> Callable[..., int]:
    """A command-line function whose options are the fields of a study's settings and of Running, and `--config`.

    The wrapped command gets the settings of each study (several, if the file holds a sweep), and where to run. Only
    what the user wrote is in them: presets fill the rest later.

    Args:
        command: what to wrap.
        config: the settings of a study, with the fields `model` and `data` among them.
        preset: whole settings for a model and a data set.
    """

    def parse(*positional: Any, **given: Any) -> int:
        given |= dict(zip(POSITIONAL, positional, strict=False))
        given = {name: value for name, value in given.items() if value is not None}
        return command(*read_settings(given.pop("config", None), given, config, preset))

    parameters = [_parameter(name, config) for name in POSITIONAL]
    parameters += [_parameter(name, config) for name in _fields(config) if name not in POSITIONAL]
    file = Annotated[
        Path | None,
        Parameter(help="YAML file of these options (and a sweep); the command line wins", group=GROUPS["Running"]),
    ]
    parameters.append(inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=file))
    parse.__name__, parse.__doc__ = command.__name__, command.__doc__
    parse.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": int}
    vars(parse)["__signature__"] = inspect.Signature(parameters, return_annotation=int)
    return parse


def read_settings(
    path: Path | None,
    given: dict[str, Any],
    config: type[Recipe] = FindTicket,
    preset: Callable[[str, str], Recipe] = preset,
) -> tuple[list[dict[str, Any]], Running]:
    """The settings of each study and where to run them, from a YAML file and what stands on the command line.

    Raises:
        UsageError: if the file cannot be read, or a setting is unknown or out of range.
    """
    document = _read_yaml(path) if path else {}
    where = f"{path}: " if path else ""
    sweep = document.pop("sweep", None)
    merged = document | given | ({} if sweep is None else {"sweep": sweep})
    running_names = {info.alias or name for name, info in Running.model_fields.items()}
    try:
        running = Running(**{name: value for name, value in merged.items() if name in running_names})
        studies = expand_sweep({name: value for name, value in merged.items() if name not in running_names})
        for settings in studies:
            complete(settings, config, preset)
    except ValidationError as error:
        raise UsageError(where + in_one_line(error)) from error
    except ValueError as error:
        raise UsageError(where + str(error)) from error
    return studies, running


def resolve(settings: dict[str, Any]) -> FindTicket:
    """The whole configuration of a search for tickets, as `complete` makes it."""
    return complete(settings, FindTicket, preset)


def complete(settings: dict[str, Any], config: type[Settings], preset: Callable[[str, str], Recipe]) -> Settings:
    """The whole configuration: the preset of the model and data set, with these settings on top."""
    if not all(isinstance(settings.get(name, ""), str) for name in ("model", "data")):
        raise ValueError("model and data are one name each; several belong into a sweep's grid")
    names = {name: settings.get(name, config.model_fields[name].default) for name in ("model", "data")}
    return config(**preset(names["model"], names["data"]).model_dump(exclude_unset=True) | settings)


def in_one_line(error: ValidationError) -> str:
    """What pydantic found, as one line for users."""
    found = []
    for problem in error.errors():
        option = ".".join(map(str, problem["loc"])) or "settings"
        message = problem["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        if problem["type"] == "extra_forbidden":
            found.append(f"unknown setting {option!r}")
        elif message.startswith(f"{option}:"):
            found.append(message)
        else:
            found.append(f"{option}: {message} (found {problem['input']!r})")
    return "; ".join(found)


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml  # here, so that help need not load it

    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path} must hold a table of settings, as `levels: 12`; found {type(document).__name__}")
    return {str(name).replace("-", "_"): value for name, value in document.items()}


def _fields(config: type[Recipe]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in {**config.model_fields, **Running.model_fields}.items()}


def _parameter(name: str, config: type[Recipe]) -> inspect.Parameter:
    info, group = _fields(config)[name], _group(name, config)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if name in POSITIONAL else inspect.Parameter.KEYWORD_ONLY
    # A flag of the study may be on in a preset, and then there must be a way to turn it off.
    flag: dict[str, Any] = {"negative": ""} if info.annotation is bool and group == "Running" else {}
    parameter = Parameter(help=f"{info.description}{_default(info)}", show_default=False, group=GROUPS[group], **flag)
    return inspect.Parameter(name, kind, default=None, annotation=Annotated[_option_type(info), parameter])


def _option_type(info: FieldInfo) -> Any:
    """Numbers, flags and choices as they are; everything else is text that the settings parse and check themselves."""
    if info.annotation is bool:
        return bool | None
    if get_origin(info.annotation) in (tuple, dict):
        return str | None
    plain = [part for part in (get_args(info.annotation) or (info.annotation,)) if part in (int, float)]
    return plain[0] | None if plain else str | None


def _default(info: FieldInfo) -> str:
    default = info.default
    if default is None or info.annotation is bool or "[default" in (info.description or ""):
        return ""
    if isinstance(default, tuple | dict):
        text = ",".join(default) or "none"
    else:
        text = f"{default:g}" if isinstance(default, float) else str(default)
    return f" [default: {text}]"


def _group(name: str, config: type[Recipe]) -> str:
    groups: list[tuple[str, type[BaseModel]]] = [
        ("Training", Recipe),
        ("Pruning", Pruning),
        ("Pruning within training", MaskChanges),
        ("Supermask", SupermaskSettings),
        ("Running", Running),
    ]
    for group, model in groups:
        if name in MOVED:
            return MOVED[name]
        if name in _names(model) and name not in POSITIONAL and (group == "Running" or issubclass(config, model)):
            return group
    return "Study"


MOVED = {"kept": "Pruning", "pruned": "Pruning", "moments": "Pruning", "sparsifier": "Pruning within training"}
"""Fields of a study that help shows with those they belong to."""


def _names(model: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}
