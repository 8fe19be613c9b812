"""Settings of a study: parts that are written flat, the same however they are written."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lth.cli.errors import UsageError
from lth.cli.options import read_settings
from lth.config import (
    Recipe,
    Running,
    SettingsError,
    StudySettings,
    Targets,
    as_settings_error,
    check_names,
    flat_fields,
    parts_of,
)
from lth.data import load_data
from lth.models import LeNet300100
from lth.studies import STUDIES, StudyType, settings_of
from lth.studies.find_ticket import FIND_TICKET
from lth.studies.find_ticket_settings import AfterTraining, FindTicket, WithinTraining
from lth.studies.prepare import prepare

OTHER: dict[str, dict[str, Any]] = {
    "find-ticket": {
        "levels": 3, "lr": 1e-3, "rates": {"output.weight": 0.1}, "controls": ("reinit",), "no_decay": ("vectors",),
        "optimizer_options": {"momentum": 0.9}, "rewind_to": "5it", "lr_decay": "step", "lr_milestones": ("5it",),
    },
    "supermask": {"density": 0.3, "rescale": True, "initial_score": 1.0, "draws": 3, "clip": 1.0},
    "connect": {"rewind_to": ("0it", "10%"), "connect_levels": (0, 2), "points": 5, "scope": "global"},
    "sparsify": {"sparsities": (0.2, 0.9), "methods": ("rigl", "soft"), "begin": "2ep", "end": "0.5", "scope": "erk"},
    "train": {"start_from": "weights.safetensors", "clip": 1.0, "lr_decay": "cosine", "final_lr": 1e-5},
    "few-shot": {"mode": "head", "shots": (4, 16), "sources": ("a", "b"), "shot_seeds": (1, 2, 3), "shots_of": "class"},
    "rewinding": {"rewind_steps": ("0it", "1ep"), "methods": ("weights", "lr"), "retrain_from": "5it", "controls": ()},
    "transfer": {
        "source_data": "diabetes", "source_lr": 0.1, "source_optimizer_options": {"momentum": 0.9}, "adapt": "resize",
        "controls": ("random",), "head": "rewind", "margin": 0.01,
    },
    "ablate": {"level": 2, "branches": ("kept=reinit", "criterion=movement,scope=global"), "rewind_to": "5it"},
    "stability": {"levels": 2, "rewind_to": "2ep", "never_prune": ("output.*",), "warmup": "3it"},
    "merge": {"levels": 2, "rewind_to": "2ep", "second_criterion": "movement", "rate": 0.4},
    "remove": {"tickets": 3, "levels": 2, "margin": 0.01, "never_prune": ("output.*",)},
    "regrow": {"limit": 3, "first_rate": 0.8, "last_rate": 0.1, "scope": "global"},
    "selective-noise": {"shares": (0.1, 0.3), "noise": "uniform", "noise_scale": 0.5},
}  # fmt: skip
SPARSIFIED: dict[str, Any] = {"sparsifier": "rigl", "scope": "erk", "begin": 0.2, "moments": "restore"}
STEPS: dict[str, Any] = {"per_level": 0.1, "controls": ("permuted", "one-shot")}
CASES = [(name, given) for name in STUDIES for given in ({}, OTHER[name])]
CASES += [("find-ticket", SPARSIFIED), ("find-ticket", STEPS)]


@pytest.mark.parametrize(("name", "given"), CASES, ids=[f"{name}-{len(given)}" for name, given in CASES])
def test_flat_settings_round_trip(name: str, given: dict[str, Any]) -> None:
    """Flags, YAML and Python hold flat settings; parts are inside alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = settings_of(STUDIES[name], given)
        flat = made.flat()
        as_yaml = yaml.safe_load(yaml.safe_dump(flat))
        assert as_yaml == flat
        again = type(made)(**as_yaml)
        assert again == made
        assert made.with_() == made
        assert made.with_(lr=0.5).flat() == flat | {"lr": 0.5}
    assert not flat.keys() & parts_of(type(made)).keys()
    values = given.items()
    assert all(flat[name] == (list(value) if isinstance(value, tuple) else value) for name, value in values)


@pytest.mark.parametrize("name", STUDIES)
def test_every_setting_has_a_name_and_a_description(name: str) -> None:
    settings = STUDIES[name].settings
    check_names(settings)
    names = [field for field, *_ in flat_fields(settings)]
    assert len(names) == len(set(names))
    assert set(names) >= set(settings().flat())
    for field, info, _, group in flat_fields(settings):
        assert info.description, f"{field} has no help text"
        assert group


class Wide(BaseModel):
    """A part with a name that another part has."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    group: ClassVar[str] = "Wide"

    lr: float = Field(default=1.0, description="a width")


class Stored(BaseModel):
    """A part with a name that says where a study runs."""

    store: str = "a shop"


def test_a_name_that_two_parts_share_is_an_error() -> None:
    class Shared(StudySettings):
        wide: Wide = Wide()

    class Taken(StudySettings):
        shop: Stored = Stored()

    class Own(StudySettings):
        optimizer: str = "mine"

    for settings, message in (
        (Shared, "settings Shared: 'lr' stands in training and in wide: rename one"),
        (Taken, "settings Taken: 'store' stands in Running and in shop: rename one"),
        (Own, "settings Own: 'optimizer' stands in Own and in training: rename one"),
    ):
        with pytest.raises(ValueError, match=message):
            check_names(settings)
        with pytest.raises(ValueError, match=message):
            StudyType("mine", "", settings, (), lambda *_: iter(()), lambda *_: None, ())  # type: ignore[arg-type,return-value]


def test_parts_are_chosen_by_what_they_require() -> None:
    assert isinstance(FindTicket(rate=0.3).masks, AfterTraining)
    within = FindTicket(rate=0.3, sparsifier="set").masks
    assert isinstance(within, WithinTraining)
    assert within.rate == 0.3
    assert isinstance(FindTicket(sparsifier="none").masks, AfterTraining)
    assert FindTicket(rate=0.3, sparsifier="set").with_(sparsifier="none") == FindTicket(rate=0.3)
    assert FindTicket(training=Recipe(lr=0.5), rate=0.3) == FindTicket(lr=0.5, duration=Recipe().duration, rate=0.3)


def test_a_study_has_defaults_of_its_own_in_a_part() -> None:
    assert FindTicket().training == Recipe(duration="600it")
    assert FindTicket(lr=0.1).training == Recipe(duration="600it", lr=0.1)
    assert {name: default for name, _, default, _ in flat_fields(FindTicket)}["duration"] == "600it"


def test_settings_forbid_unknown_fields_and_are_frozen() -> None:
    with pytest.raises(ValidationError, match="levls"):
        FindTicket(levls=3)
    with pytest.raises(ValidationError, match="frozen"):
        FindTicket().levels = 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: STUDIES["find-ticket"].settings(levles=3), "unknown setting 'levles'. Did you mean 'levels'?"),
        (lambda: settings_of(STUDIES["merge"], {"lrr": 3}), "unknown setting 'lrr'. Did you mean 'lr'?"),
        (lambda: Recipe(durtion="3it"), "unknown setting 'durtion'. Did you mean 'duration'?"),
        (lambda: Targets(criterio="snip"), "unknown setting 'criterio'. Did you mean 'criterion'?"),
        (lambda: Running(tags="a"), "unknown setting 'tags'. Did you mean 'tag'?"),
    ],
)
def test_an_unknown_name_is_answered_by_the_nearest(make: Callable[[], object], words: str) -> None:
    with pytest.raises(SettingsError) as said, as_settings_error():
        make()
    assert str(said.value).startswith(words)


@pytest.mark.parametrize(("name", "near"), [("levles", "levels"), ("workrs", "workers"), ("tags", "tag")])
@pytest.mark.parametrize("is_swept", [False, True])
def test_an_unknown_name_in_a_file_is_answered_by_the_nearest(
    tmp_path: Path, name: str, near: str, is_swept: bool
) -> None:
    if is_swept and near != "levels":
        pytest.skip("where a study runs is not swept")
    path = tmp_path / "mine.yaml"
    path.write_text(f"sweep: {{grid: {{{name}: [2]}}}}\n" if is_swept else f"{name}: 2\n")
    with pytest.raises(UsageError) as said:
        read_settings(STUDIES["find-ticket"], path, {})
    assert str(said.value) == f"{path}: unknown setting {name!r}. Did you mean {near!r}?"


def test_text_and_values_mean_the_same() -> None:
    as_text = FindTicket(
        lr="1e-3", controls="reinit", rates="a=0.1,b*=0.3", optimizer_options="momentum=0.9,nesterov=true",
        lr_decay="step", lr_milestones="5it, 10 it", level_rates="0.1,0.2", schedule="list", levels=2,
    )  # fmt: skip
    as_values = FindTicket(
        lr=0.001, controls=("reinit",), rates={"a": 0.1, "b*": 0.3}, lr_decay="step", lr_milestones=["5it", "10it"],
        optimizer_options={"momentum": 0.9, "nesterov": True}, level_rates=[0.1, 0.2], schedule="list", levels=2,
    )  # fmt: skip
    assert as_text == as_values
    assert FindTicket(controls="none").controls == ()
    assert (FindTicket(rates="none").masks.rates, FindTicket(rates="default").masks.rates) == ({}, None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate": 0}, "rate"),
        ({"rate": 1}, "rate"),
        ({"rates": {"a": 1.0}}, "rates: 'a' has rate 1.0; a rate lies between 0 and 1"),
        ({"levels": 0}, "levels"),
        ({"controls": "reinit,reinit"}, "reinit, reinit names one twice"),
        ({"controls": "shuffle"}, "unknown control 'shuffle'. Choices: reinit, random, permuted, one-shot, none"),
        ({"kept": "rewnd"}, "unknown choice for kept weights 'rewnd'. Did you mean 'rewind'"),
        ({"pruned": "zeros"}, "unknown choice for pruned weights 'zeros'. Did you mean 'zero'"),
        ({"moments": "keep"}, "moments: 'keep' goes with kept 'keep' or 'lr_rewind'.*found 'rewind'"),
        ({"moments": "restore"}, "moments: 'restore' is for weights that come back within a training"),
        ({"sparsifier": "rig1"}, "unknown sparsifier 'rig1'. Did you mean 'rigl'"),
        (
            {"sparsifier": "rigl", "criterion": "movement"},
            "'movement' has no effect: sparsifier 'rigl' drops",
        ),
        (
            {"sparsifier": "set", "granularity": "filters"},
            "sparsifier: 'set' chooses single weights; found granularity",
        ),
        ({"sparsifier": "set", "rates": "a=0.1"}, "rates: a sparsifier shares out one density by its scope"),
        ({"sparsifier": "set", "pruned": "soft"}, "pruned: 'soft' trains on what sparsifier 'set' pruned"),
        ({"kept": "reinit", "rewind_to": "5it"}, "rewind_to: kept 'reinit' goes back to no step; found '5it'"),
        ({"schedule": "list", "level_rates": "0.1"}, "level_rates: found 1 rates for 8 levels"),
        ({"level_rates": "0.1"}, "level_rates: only schedule 'list' reads them; found schedule 'iterative'"),
        ({"begin": 0.9, "sparsifier": "set"}, r"begin 0\.9 comes after end 0\.85"),
        ({"rate": 0.2, "per_level": 0.1}, "rate 0.2 counts of the remaining weights, per_level 0.1 of all: leave one"),
        ({"per_level": 1}, "per_level"),
        ({"per_level": 0.1, "schedule": "increasing"}, "goes with schedule 'iterative' or 'one-shot'; found 'increas"),
        ({"per_level": 0.1, "rates": "a=0.1"}, "rates: 'a' would give up a fraction of the remaining weights"),
        ({"per_level": 0.1, "rate": 0.3, "sparsifier": "set"}, "rate 0.3 counts of the remaining weights"),
        ({"controls": "one-shot", "start_masks": "a.safetensors"}, "'one-shot' cuts to densities of the schedule"),
    ],
)
def test_settings_that_do_not_go_together(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FindTicket(**fields)


@pytest.mark.parametrize(
    ("name", "data"),
    [("digits", "digits"), ("frankle-carbin-lenet", "mnist"), ("frankle-carbin-lenet-fashion", "fashion-mnist")],
)
def test_presets_by_name_and_by_model_and_data(name: str, data: str) -> None:
    model = "lenet-300-100"
    by_name = settings_of(STUDIES["find-ticket"], {"preset": name})
    assert by_name == settings_of(STUDIES["find-ticket"], {"model": model, "data": data})
    assert (by_name.model, by_name.data) == (model, data)
    assert by_name.flat()["levels"] == (21 if "mnist" in data else FIND_TICKET.presets["digits"]().levels)
    over = settings_of(STUDIES["find-ticket"], {"preset": name, "levels": 1, "lr": 0.5})
    assert over == by_name.with_(levels=1, lr=0.5)


def test_the_preset_is_the_published_protocol() -> None:
    paper = settings_of(STUDIES["find-ticket"], {"data": "mnist"}).flat()
    expected = {
        "lr": 1.2e-3, "batch_size": 60, "rate": 0.2, "replicates": 5, "duration": "50000it", "optimizer": "adam",
        "scope": "layerwise", "validation": 5000, "kept": "rewind", "rewind_to": "0it", "criterion": "large_final",
    }  # fmt: skip
    assert {name: paper[name] for name in expected} == expected


@pytest.mark.parametrize("name", STUDIES)
def test_every_preset_is_a_whole_study(name: str) -> None:
    for make in STUDIES[name].presets.values():
        assert type(make()) is STUDIES[name].settings
    with pytest.raises(ValueError, match=r"unknown preset 'digit'\. Did you mean 'digits'"):
        settings_of(STUDIES[name], {"preset": "digit"})
    assert settings_of(STUDIES[name], {"model": "my:model", "data": "own.npz"}).model == "my:model"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, []),
        ({"levels": 1}, []),
        ({"rate": 0.4}, ["rate 0.4"]),
        ({"scope": "global"}, ["scope 'global'"]),
        ({"lr_factor": 0.5}, ["lr_factor 0.5"]),
    ],
)
def test_what_a_preset_gives_is_never_called_idle(given: dict[str, Any], named: list[str]) -> None:
    """The preset of the digits has a rate and ten levels; 2:4 fixes both."""
    study = STUDIES["find-ticket"]
    settings = settings_of(study, {"granularity": "2:4", "replicates": 1, **given})
    assert settings.written == {"granularity", "replicates", *given}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = prepare(study, settings, LeNet300100, load_data("digits"))
    said = [str(each.message) for each in caught]
    assert len(said) == len(named)
    assert all(f"settings without effect: {name}: " in text for name, text in zip(named, said, strict=True))
    assert made.settings.flat()["levels"] == 1
    assert made.settings.flat()["rate"] == FindTicket().flat()["rate"]
    with pytest.raises(ValueError, match="found 10 levels, only 1"):
        prepare(study, settings_of(study, {"granularity": "2:4", "levels": 10}), LeNet300100, load_data("digits"))


def test_one_way_to_count_takes_the_place_of_the_other() -> None:
    """The preset of the digits has a rate; the way that does not count is not written down."""
    study = STUDIES["find-ticket"]
    by_steps = settings_of(study, {"per_level": 0.1})
    assert "rate" not in by_steps.flat()
    assert by_steps.flat()["per_level"] == 0.1
    assert settings_of(study, by_steps.flat()).flat() == by_steps.flat()
    by_rate = settings_of(study, {})
    assert (by_rate.flat()["rate"], by_rate.flat()["per_level"]) == (0.3, None)
    assert settings_of(study, by_rate.flat()).flat() == by_rate.flat()
    for name in ("connect", "stability"):
        assert settings_of(STUDIES[name], {"per_level": 0.1}).masks.per_level == 0.1  # type: ignore[attr-defined]
    with pytest.raises(SettingsError, match="leave one out"):
        settings_of(study, {"per_level": 0.1, "rate": 0.2})


def test_with_keeps_what_was_written_and_what_a_preset_gave() -> None:
    settings = settings_of(STUDIES["find-ticket"], {"lr": 0.5}).with_(clip=1.0)
    assert settings.written == {"lr", "clip"}
    assert settings.flat() == settings_of(STUDIES["find-ticket"], {"lr": 0.5, "clip": 1.0}).flat()
    assert FindTicket(training=Recipe(lr=0.5)).with_(clip=1.0).training == Recipe(lr=0.5, clip=1.0)
