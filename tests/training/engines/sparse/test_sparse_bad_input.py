"""Compiled code checks no bounds: what does not fit must be an error before it runs."""

from typing import Any

import pytest
from sparse_trainings import train_one
from torch import nn
from trainings import classification, digits, member, short_training, small_net, with_part, x_and_y

from lth.models import LeNet300100
from lth.training import Member


def training(**fields: Any) -> Any:
    return short_training(batch_size=13, precision="float64", **fields)


@pytest.mark.parametrize("shape", [(5, 5), (28, 28)])
def test_examples_that_do_not_fit_the_first_layer(shape: tuple[int, int]) -> None:
    def make() -> nn.Module:
        return LeNet300100(shape, 10)

    with pytest.raises(ValueError, match=rf"{shape[0] * shape[1]}.*64|64.*{shape[0] * shape[1]}") as caught:
        train_one(member(make, 1), make(), training())
    assert "\n" not in str(caught.value)


def test_labels_without_an_output() -> None:
    def make() -> nn.Module:
        return LeNet300100((8, 8), 9)

    with pytest.raises(ValueError, match=r"label"):
        train_one(member(make, 1), make(), training())
    with pytest.raises(ValueError, match=r"train labels go from 0 to 9, network and task have 9 classes"):
        train_one(member(small_net, 1), small_net(), training(task=classification(9)))
    x, y = x_and_y(digits()["validation"])
    negative = with_part(digits(), "validation", x, y - 1)
    with pytest.raises(ValueError, match=r"label"):
        train_one(member(small_net, 1), small_net(), training(), parts=negative)


@pytest.mark.parametrize(
    ("fields"),
    [
        {"optimizer": "sgd", "optimizer_options": {"nesterov": True}},
        {"optimizer": "sgd", "optimizer_options": {"momentum": -0.5}},
        {"optimizer": "adam", "optimizer_options": {"betas": (1.5, 0.9)}},
        {"optimizer": "adamw", "optimizer_options": {"eps": -1.0}},
    ],
)
def test_options_that_no_optimizer_takes(fields: dict[str, Any]) -> None:
    for engine in ("torch", "sparse"):
        with pytest.raises(ValueError, match=f"optimizer '{fields['optimizer']}' does not take the options"):
            train_one(member(small_net, 1), small_net(), training(**fields), engine=engine)


def test_starts_and_masks_that_do_not_fit() -> None:
    one = member(small_net, 1)
    short = {**one.start, "1.weight": one.start["1.weight"][:5]}
    with pytest.raises(ValueError, match=r"do not fit the model: 1\.weight differ"):
        train_one(Member("member", short, {}, one.seeds), small_net(), training())
    with pytest.raises(ValueError, match=r"masks do not fit the model: 9\.weight"):
        masks = {"9.weight": one.masks["1.weight"]}
        train_one(Member("member", one.start, masks, one.seeds), small_net(), training())
