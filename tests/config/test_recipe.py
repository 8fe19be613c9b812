"""The recipe: what users write of a training, and what it becomes in whole steps."""

from typing import Any

import pytest
from pydantic import ValidationError

from lth.config import Function, Recipe, TaskSpec, Training

TASK = TaskSpec()


def resolved(num_train: int = 100, **fields: Any) -> Training:
    recipe = Recipe(**fields)
    return recipe.training(recipe.clock(num_train), TASK)


def test_a_recipe_is_counted_in_steps() -> None:
    fields = {"duration": "3ep", "warmup": "10%", "lr_decay": "step", "lr_milestones": ("2ep",), "batch_size": 10}
    training = resolved(109, **fields)
    assert (training.steps, training.warmup, training.lr_milestones) == (30, 3, (20,))
    assert (training.batch_size, training.lr, training.task) == (10, 1.2e-3, TASK)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"duration": "10it", "lr_decay": "step", "lr_milestones": ("12it",)}, "must rise and lie within 10it"),
        ({"duration": "10it", "lr_decay": "step", "lr_milestones": ("5it", "5it")}, "must rise"),
        ({"duration": "10it", "warmup": "10it"}, "as long as the training"),
        ({"duration": "0it"}, "trains nothing"),
    ],
)
def test_durations_out_of_order(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolved(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lr": -1}, "greater than 0"),
        ({"lr": float("nan")}, "lr"),
        ({"evaluate": "mine:score"}, "evaluate: your own measurement goes with a training function of your own"),
        ({"metrics": {"score": "more"}}, "'higher' or 'lower'"),
        ({"lr_decay": "exponential"}, "'constant', 'cosine', 'linear' or 'step'"),
        ({"leraning_rate": 1}, "leraning_rate"),
    ],
)
def test_recipes_that_are_none(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Recipe(**fields)


@pytest.mark.parametrize(
    ("fields", "idle"),
    [
        ({"lr_milestones": "5it", "lr_factor": 0.5}, {"lr_milestones", "lr_factor"}),
        ({"lr_decay": "step", "lr_milestones": "5it", "final_lr": 1e-5}, {"final_lr"}),
        ({"lr_decay": "cosine", "final_lr": 1e-5, "lr_factor": 0.5}, {"lr_factor"}),
        ({"train_version": "2", "evaluate_version": "2", "metrics": "score=higher"},
         {"train_version", "evaluate_version", "metrics"}),
        ({"train": "mine:train", "train_version": "2", "evaluate_version": "2"}, {"evaluate_version"}),
    ],
)  # fmt: skip
def test_settings_that_nothing_reads_are_put_back(fields: dict[str, Any], idle: set[str]) -> None:
    recipe = Recipe(duration="10it", **fields)
    with pytest.warns(UserWarning, match="settings without effect") as caught:
        without = recipe.without_idle()
    assert len(caught) == 1
    assert all(f"{name} " in str(caught[0].message) for name in idle)
    for name, info in Recipe.model_fields.items():
        assert getattr(without, name) == (info.default if name in idle else getattr(recipe, name))
    assert without.without_idle() is without
    with pytest.warns(UserWarning, match="settings without effect"):
        training = recipe.training(recipe.clock(100), TASK)
    assert training == without.training(without.clock(100), TASK)


def test_learning_rates_by_hand() -> None:
    warm = resolved(lr=1.0, warmup="4it", duration="10it")
    assert [warm.lr_at(step) for step in (0, 1, 3, 4, 9)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    linear = resolved(lr=1.0, lr_decay="linear", duration="10it")
    assert [linear.lr_at(step) for step in (0, 5, 9)] == pytest.approx([1.0, 0.5, 0.1])
    cosine = resolved(lr=1.0, lr_decay="cosine", duration="10it")
    assert [cosine.lr_at(step) for step in (0, 5)] == pytest.approx([1.0, 0.5])
    above_zero = resolved(lr=1.0, lr_decay="linear", final_lr=0.5, duration="10it")
    assert [above_zero.lr_at(step) for step in (0, 5, 10)] == pytest.approx([1.0, 0.75, 0.5])
    stepped = resolved(lr=1.0, lr_decay="step", lr_milestones=("4it", "8it"), duration="10it")
    assert [stepped.lr_at(step) for step in (3, 4, 8)] == pytest.approx([1.0, 0.1, 0.01])


def test_fine_tuning_goes_on_at_the_last_learning_rate() -> None:
    fields: dict[str, Any] = {"lr": 1.0, "lr_decay": "step", "lr_milestones": ("4it",), "duration": "10it"}
    last = resolved(**fields, warmup="2it").with_(first_step=3).at_last_lr()
    assert [last.lr_at(step) for step in (0, 5, 9)] == pytest.approx([0.1, 0.1, 0.1])
    assert last.first_step == 0
    constant = resolved(duration="10it")
    assert constant.at_last_lr() == constant


def test_a_function_of_the_users_own_stands_in_the_training() -> None:
    training = resolved(duration="10it", train="mine:train", train_version="3")
    assert training.function == Function(name="mine:train", version="3")
    assert resolved(duration="10it").function is None
