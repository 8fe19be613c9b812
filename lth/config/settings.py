"""Settings of a study: parts that mean something by themselves, written flat.

In a settings class a field that is a model (or a union of models) is a *part*. Users never see parts: flags, YAML and
Python keywords give the fields of all parts by their own names, and `flat` gives them back.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping
from types import UnionType
from typing import Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from lth.config.choices import check_choice
from lth.config.recipe import Recipe
from lth.config.running import Running


class StudySettings(BaseModel):
    """What every study has."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    group: ClassVar[str] = "Study"

    model: str = Field(
        default="lenet-300-100",
        description="a model of lth's (gpt-char:n_layer=2), of transformers (a folder, hub:OWNER/NAME), or your own as "
        "package.module:function",
    )
    data: str = Field(
        default="digits",
        description="digits, mnist, cifar-10, tiny-shakespeare, glue/sst2, ... (`lth data ls` has all), or the path of "
        "an .npz or .txt file or a folder of pictures",
    )
    start_from: str | None = Field(
        default=None,
        description="weights that networks start from: a model folder of Hugging Face, or a safetensors file "
        "[default: they are drawn]",
    )
    replicates: int = Field(default=5, ge=1, description="networks with seeds of their own; intervals are over them")
    seed: int = Field(default=0, ge=0, description="the seed that all others are derived from")
    validation: int | None = Field(
        default=None,
        ge=1,
        description="examples held out of the training set [default: the source's own part, else 5000, or a tenth if "
        "that is less]",
    )
    subset: int | None = Field(
        default=None,
        ge=1,
        description="train on only so many examples, drawn after the validation part was held out [default: all]",
    )
    split_seed: int = Field(default=0, ge=0, description="which examples are held out; the same for all replicates")
    model_version: str = Field(default="1", description="raise it when your own model's code changes its results")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="level of the intervals over replicates")
    correction: str = Field(
        default="holm",
        description="how p-values are adjusted for the number of comparisons: holm (no false one among all), "
        "benjamini-hochberg (few false ones among those found: for many cells)",
    )
    training: Recipe = Recipe()

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, given: Any) -> Any:
        return nested(cls, given) if isinstance(given, Mapping) else given

    @property
    def data_sets(self) -> dict[str, str]:
        """Every data set by the setting that names it: `data`, and as `source_data` those of further subjects."""
        names = [name for name in type(self).model_fields if name == "data" or name.endswith("_data")]
        return {name: value for name in names if isinstance(value := getattr(self, name), str)}

    def flat(self, *, only_changed: bool = False) -> dict[str, Any]:
        """Return every field by its own name, as JSON values; parts that are not in use are left out.

        Args:
            only_changed: leave out what is at its default in these settings.
        """
        values: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            values |= value.model_dump(mode="json") if isinstance(value, BaseModel) else {name: _listed(value)}
        if not only_changed:
            return values
        usual = {name: _listed(default) for name, _, default, _ in flat_fields(type(self))}
        return {name: value for name, value in values.items() if name not in usual or value != usual[name]}

    def with_(self, **changes: Any) -> Self:
        """Return these settings with other values, by flat names, checked anew."""
        return type(self)(**self.flat(only_changed=True) | changes).as_written(self.written | changes.keys())

    @property
    def written(self) -> frozenset[str]:
        """The flat names of what was written: not what a preset or a default gives."""
        parts = [value for name in type(self).model_fields if isinstance(value := getattr(self, name), BaseModel)]
        return frozenset(self.model_fields_set).union(*(part.model_fields_set for part in parts))

    def as_written(self, names: Collection[str]) -> Self:
        """Return these settings, of which nothing but these names was written: the rest is as good as a default."""
        values = dict(self)
        for name, part in values.items():
            if isinstance(part, BaseModel):
                values[name] = type(part).model_construct(part.model_fields_set & {*names}, **dict(part))
        return type(self).model_construct(self.model_fields_set & {*names}, **values)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def parts_of(settings: type[BaseModel]) -> dict[str, tuple[type[BaseModel], ...]]:
    """Return the parts of a settings class: by field, the models that may stand there, the usual one first."""
    found = {}
    for name, info in settings.model_fields.items():
        union = get_origin(info.annotation) in (Union, UnionType)
        models = get_args(info.annotation) if union else (info.annotation,)
        if all(isinstance(each, type) and issubclass(each, BaseModel) for each in models):
            found[name] = models
    return found


def flat_fields(settings: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, Any, str]]:
    """Give each setting that users write: name, field, default, and the group that help shows it in."""
    parts, seen = parts_of(settings), set[str]()
    for name, info in settings.model_fields.items():
        if name not in parts:
            seen.add(name)
            yield name, info, info.default, settings.group  # type: ignore[attr-defined]
    for part, models in parts.items():
        usual = settings.model_fields[part].default
        for model in models:
            for name, info in sorted(model.model_fields.items(), key=lambda each: not each[1].is_required()):
                if name not in seen:
                    seen.add(name)
                    yield name, info, getattr(usual, name, info.default), getattr(model, "group", "Study")


def check_names(settings: type[BaseModel]) -> None:
    """Check that each setting has a name of its own: those of all parts stand side by side in flags and files.

    Raises:
        ValueError: if two parts share a name, or one is taken by what says where a study runs.
    """
    taken = {info.alias or name: "Running" for name, info in Running.model_fields.items()}
    taken |= dict.fromkeys(("config", "debug", "preset", "sweep"), "the command line")
    parts = parts_of(settings)
    owners = [(settings.__name__, [name for name in settings.model_fields if name not in parts])]
    owners += [(part, list({name: None for model in models for name in model.model_fields}))
               for part, models in parts.items()]  # fmt: skip
    for owner, names in owners:
        for name in names:
            if name in taken:
                raise ValueError(
                    f"settings {settings.__name__}: {name!r} stands in {taken[name]} and in {owner}: rename one"
                )
            taken[name] = owner


def nested(settings: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat settings sorted into parts; what is sorted already stays.

    A further member of a union is chosen by its required fields (`sparsifier`). Settings that only other members read
    are dropped, with a warning where they are not at their defaults.
    """
    parts = parts_of(settings)
    values = {name: value for name, value in given.items() if name in settings.model_fields}
    rest = {name: value for name, value in given.items() if name not in settings.model_fields}
    idle: list[str] = []
    for part, models in parts.items():
        if part in values:
            continue
        usual = settings.model_fields[part].default
        chosen = next((model for model in models[1:] if _is_asked_for(model, rest)), models[0])
        own = usual.model_dump(exclude_unset=True) | rest
        own = {name: value for name, value in own.items() if name in chosen.model_fields}
        values[part] = chosen(**own)
        for name in chosen.model_fields:
            rest.pop(name, None)
        for model in models:
            for name in [name for name in rest if name in model.model_fields]:
                value, default = rest.pop(name), model.model_fields[name].default
                if value not in (None, "none", default) and value != usual_text(default):
                    reads = ", ".join(_required(model)) or f"no {', '.join(_required(chosen))}"
                    idle.append(f"{name} {value!r}: it goes with {reads}")
    if idle:
        warnings.warn(f"settings without effect: {'; '.join(sorted(idle))}", stacklevel=4)
    for name in rest:
        check_choice("setting", name, setting_names(settings))
    return values | rest


def setting_names(settings: type[BaseModel]) -> list[str]:
    """Return the names that users may write, and those of parts."""
    return list(dict.fromkeys([*(name for name, *_ in flat_fields(settings)), *settings.model_fields]))


def usual_text(default: Any) -> str:
    """Return a default as users would write it."""
    if isinstance(default, tuple | list):
        return ",".join(map(str, default)) or "none"
    if isinstance(default, dict):
        return ",".join(f"{name}={value}" for name, value in default.items()) or "none"
    return "none" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


def _required(model: type[BaseModel]) -> list[str]:
    return [name for name, info in model.model_fields.items() if info.is_required()]


def _is_asked_for(model: type[BaseModel], given: Mapping[str, Any]) -> bool:
    required = _required(model)
    return bool(required) and all(given.get(name) not in (None, "none") for name in required)
