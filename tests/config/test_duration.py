"""Durations carry their unit, and are counted in optimizer steps."""

import pytest
from pydantic import BaseModel, ValidationError

from lth.config import Clock, Duration, Recipe
from lth.config.duration import in_words

CLOCK = Clock(steps_per_epoch=10, tokens_per_step=2048, total=250)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("500it", 500), ("3ep", 30), (" 07 it ", 7), ("0it", 0), ("10%", 25), ("0.5 %", 1), ("100%", 250),
        ("2048tok", 1), ("4Ktok", 2), ("1.5Mtok", 732), ("1Gtok", 488281), ("1tok", 1),
    ],
)  # fmt: skip
def test_durations_in_steps(text: str, steps: int) -> None:
    assert CLOCK.steps(text) == steps


@pytest.mark.parametrize("text", ["500", "ep", "-3it", "1.5ep", "3 epochs", "", "10M", "5Ttok", "%", "3itep"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write a number and its unit, '5000it'"):
        CLOCK.steps(text)


def test_what_cannot_be_counted_by() -> None:
    with pytest.raises(ValueError, match=r"'5Mtok' counts tokens, but this data set has none: use it \(steps\) or ep"):
        Clock(10).steps("5Mtok")
    with pytest.raises(ValueError, match="'10%' is a share of the training, whose own length must be in it, ep or tok"):
        Recipe(duration="10%").clock(100)


def test_a_setting_is_written_in_one_way() -> None:
    class Settings(BaseModel):
        length: Duration

    assert [Settings(length=text).length for text in ("05 it", "3ep", "10 Mtok", "2.5 %")] == [
        "5it", "3ep", "10Mtok", "2.5%",
    ]  # fmt: skip
    with pytest.raises(ValidationError, match="'50' is not a duration"):
        Settings(length="50")


def test_the_clock_of_a_recipe() -> None:
    clock = Recipe(batch_size=10, duration="3ep").clock(109, tokens_per_example=256)
    assert clock == Clock(steps_per_epoch=10, tokens_per_step=2560, total=30)
    assert Recipe(batch_size=10, duration="1Mtok").clock(109, tokens_per_example=256).total == 391
    with pytest.raises(ValueError, match="batch size 6 is larger than the 5 training examples"):
        Recipe(batch_size=6).clock(5)


@pytest.mark.parametrize(
    ("duration", "words"), [("0it", "step 0"), ("12000it", "step 12,000"), ("1ep", "epoch 1"), ("10%", "10%")]
)
def test_a_place_in_a_training_is_named(duration: str, words: str) -> None:
    assert in_words(duration) == words
