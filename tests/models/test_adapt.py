"""Inputs of one data set in the shape of another's: the numbers of each rule, digests, and what is refused."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch

from lth.data import Data, from_arrays, load_data
from lth.models.adapt import ADAPTERS, adapted, fitted

CPU = torch.device("cpu")


def data_of(*shape: int, name: str = "made") -> Data:
    x = np.random.default_rng(0).integers(0, 255, (12, *shape)).astype(np.uint8)
    y = np.arange(12) % 2
    return from_arrays(x, y, x[:4], y[:4], name)


@pytest.mark.parametrize("rule", ADAPTERS)
@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ((4, 4), (6, 6)),
        ((4, 4), (3, 6, 5)),
        ((4, 4), (5, 6, 3)),
        ((3, 4, 4), (4, 6)),
        ((5, 5, 3), (1, 6, 6)),
        ((7,), (3, 4)),
        ((3, 2), (9,)),
    ],
)
def test_every_rule_gives_the_shape(rule: str, own: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    made = adapted(data_of(*own), data_of(*wanted, name="other"), rule)
    batch = made.parts["train"].take(torch.tensor([3, 0]), CPU)
    assert (batch["x"].shape, batch["x"].dtype) == ((2, *wanted), torch.float32)
    assert torch.equal(batch["y"], torch.tensor([1, 0]))
    assert made.facts["input_shape"] == wanted
    words = ["x".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} features" for shape in (own, wanted)]
    assert made.facts["note"] == f"adapted from inputs of {words[0]} to the {words[1]} of other by the rule {rule!r}"


def test_padding_puts_images_in_the_centre_and_zeros_around() -> None:
    image = torch.arange(1.0, 5.0).reshape(1, 2, 2)
    padded = fitted(image, (3, 4, 5), "pad")
    assert torch.equal(padded[0, 0], padded[0, 2])  # grey in every channel
    expected = torch.zeros(4, 5)
    expected[1:3, 1:3] = image[0]
    assert torch.equal(padded[0, 1], expected)


def test_channels_are_averaged_and_features_stand_first() -> None:
    colours = torch.rand(2, 3, 4, 4)
    assert torch.allclose(fitted(colours, (4, 4), "pad"), colours.mean(1))
    features = torch.rand(2, 5)
    assert torch.equal(fitted(features, (2, 3), "pad").flatten(1), torch.cat([features, torch.zeros(2, 1)], 1))
    even = torch.full((1, 4, 4), 0.5)
    assert torch.allclose(fitted(even, (2, 2), "resize"), torch.full((1, 2, 2), 0.5))


def test_the_digest_knows_data_rule_and_shape() -> None:
    own, other = data_of(4, 4), data_of(6, 6)
    made = [adapted(own, other, "pad"), adapted(own, other, "resize"), adapted(own, data_of(7, 7), "pad"), own]
    assert len({each.digest for each in made}) == 4
    assert adapted(own, other, "pad").digest == made[0].digest
    assert pickle.loads(pickle.dumps(made[0])).digest == made[0].digest
    assert adapted(own, data_of(4, 4, name="other"), "none") is own  # nothing to do


@pytest.mark.parametrize(
    ("own", "wanted", "rule", "message"),
    [
        ((4, 4), (6, 6), "none", "inputs of made are 4x4 and those of other 6x6: choose pad or resize"),
        ((6, 6), (4, 4), "pad", "images of 6x6 pixels are larger than 4x4: choose 'resize'"),
        ((9,), (2, 2), "resize", "9 features do not fit into 4 inputs"),
        ((4, 4), (6, 6), "fill", "unknown rule for inputs 'fill'"),
    ],
)
def test_what_does_not_fit_is_refused(own: Any, wanted: Any, rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adapted(data_of(*own), data_of(*wanted, name="other"), rule)


def test_tokens_are_refused() -> None:
    tokens = np.zeros((4, 3), dtype=np.int64)
    text = from_arrays(tokens, tokens, tokens, tokens, "text")
    with pytest.raises(ValueError, match="inputs of text are tokens, which no rule makes anything else of"):
        adapted(text, load_data("digits"), "pad")
    assert adapted(text, text, "pad") is text
