"""Settings: parsed, checked, and the same however they are written."""

import pytest
from pydantic import ValidationError

from lth.config import PRESETS, FindTicket, Pruning, Recipe, check_choice, expand_sweep, preset, to_steps
from lth.config.presets import frankle_carbin_2019_lenet


@pytest.mark.parametrize(("text", "steps"), [("500it", 500), ("3ep", 30), (" 07 it ", 7), ("0it", 0)])
def test_durations(text: str, steps: int) -> None:
    assert to_steps(text, steps_per_epoch=10) == steps


@pytest.mark.parametrize("text", ["500", "ep", "-3it", "1.5ep", "3 epochs", ""])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        to_steps(text, 10)


def test_settings_forbid_unknown_fields_and_are_frozen() -> None:
    with pytest.raises(ValidationError, match="levls"):
        FindTicket(levls=3)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="frozen"):
        FindTicket().levels = 3  # type: ignore[misc]


def test_text_and_values_mean_the_same() -> None:
    as_text = FindTicket.model_validate(
        {"lr": "1e-3", "controls": "reinit", "rates": "a=0.1,b*=0.3", "optimizer_options": "momentum=0.9,nesterov=true"}
    )
    as_values = FindTicket(
        lr=0.001,
        controls=("reinit",),
        rates={"a": 0.1, "b*": 0.3},
        optimizer_options={"momentum": 0.9, "nesterov": True},
    )
    assert as_text == as_values
    assert FindTicket.model_validate({"controls": "none"}).controls == ()


@pytest.mark.parametrize("fields", [{"rate": 0}, {"rate": 1}, {"rates": {"a": 1.0}}, {"levels": 0}, {"lr": -1}])
def test_values_out_of_range(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FindTicket(**fields)  # type: ignore[arg-type]


def test_recipe_and_pruning_are_parts_of_the_whole() -> None:
    config = FindTicket(lr=0.01, rate=0.3, scope="global")
    assert config.recipe == Recipe(lr=0.01, duration=config.duration)
    assert config.pruning({"out": 0.1}) == Pruning(rate=0.3, scope="global", rates={"out": 0.1})
    assert FindTicket(rates={}).pruning({"out": 0.1}).rates == {}


def test_a_recipe_is_counted_in_steps() -> None:
    recipe = Recipe(duration="3ep", warmup="1ep", lr_decay="step", lr_milestones=("2ep",), batch_size=10).in_steps(109)
    assert (recipe.duration, recipe.warmup, recipe.lr_milestones, recipe.steps) == ("30it", "10it", ("20it",), 30)
    with pytest.raises(ValueError, match="larger than the 5 training examples"):
        Recipe(batch_size=6).in_steps(5)
    with pytest.raises(ValueError, match="must rise"):
        Recipe(duration="10it", lr_decay="step", lr_milestones=("12it",)).in_steps(100)
    with pytest.raises(ValueError, match="as long as the training"):
        Recipe(duration="10it", warmup="10it").in_steps(100)
    with pytest.warns(UserWarning, match="has no effect"):
        Recipe(duration="10it", lr_milestones=("5it",)).in_steps(100)


def test_learning_rates_by_hand() -> None:
    warm = Recipe(lr=1.0, warmup="4it", duration="10it")
    assert [warm.lr_at(step) for step in (0, 1, 3, 4, 9)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    linear = Recipe(lr=1.0, lr_decay="linear", duration="10it")
    assert [linear.lr_at(step) for step in (0, 5, 9)] == pytest.approx([1.0, 0.5, 0.1])
    cosine = Recipe(lr=1.0, lr_decay="cosine", duration="10it")
    assert [cosine.lr_at(step) for step in (0, 5)] == pytest.approx([1.0, 0.5])
    stepped = Recipe(lr=1.0, lr_decay="step", lr_milestones=("4it", "8it"), duration="10it")
    assert [stepped.lr_at(step) for step in (3, 4, 8)] == pytest.approx([1.0, 0.1, 0.01])


def test_the_presets_are_the_published_settings() -> None:
    paper = frankle_carbin_2019_lenet()
    assert (paper.lr, paper.batch_size, paper.rate, paper.replicates) == (1.2e-3, 60, 0.2, 5)
    assert (paper.duration, paper.optimizer, paper.scope, paper.validation) == ("50000it", "adam", "layerwise", 5000)
    for (model, data), make in PRESETS.items():
        assert (make().model, make().data) == (model, data)
    assert preset("my:model", "own.npz").model == "my:model"


def test_sweeps_multiply() -> None:
    settings = {"levels": 2, "sweep": {"grid": {"rate": [0.1, 0.2]}, "zip": {"lr": [1, 2], "batch_size": [10, 20]}}}
    expanded = expand_sweep(settings)
    assert len(expanded) == 4
    assert expanded[1] == {"levels": 2, "rate": 0.1, "lr": 2, "batch_size": 20}
    assert [each["seed"] for each in expand_sweep({"sweep": {"seeds": [4, 7]}})] == [4, 7]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sweep": {"gird": {}}}, "grid, zip, seeds"),
        ({"sweep": {"zip": {"lr": [1], "rate": [0.1, 0.2]}}}, "differ in length"),
        ({"sweep": {"grid": {"rate": 0.1}}}, "table of lists"),
        ({"rate": 0.3, "sweep": {"grid": {"rate": [0.1]}}}, "swept and also set"),
        ({"sweep": {"seeds": "many"}}, "list of seeds"),
    ],
)
def test_sweeps_that_are_none(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expand_sweep(settings)


def test_choices_suggest_the_nearest() -> None:
    assert check_choice("scope", "global", ["global", "layerwise"]) == "global"
    with pytest.raises(ValueError, match=r"unknown scope 'layrwise'\. Did you mean 'layerwise'"):
        check_choice("scope", "layrwise", ["global", "layerwise"])
