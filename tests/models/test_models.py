"""Models: made under a seed, known by name and structure."""

import math

import pytest
import torch
from torch import nn

from lth.models import MODELS, LeNet300100, describe, make_model, resolve_factory, structure_digest
from lth.sparsity import prunable


@pytest.mark.parametrize("name", MODELS)
def test_every_model_makes_logits_and_names_its_output(name: str) -> None:
    module = MODELS[name].make(input_shape=(8, 8), num_classes=7)
    assert module(torch.zeros(3, 8, 8)).shape == (3, 7)
    assert MODELS[name].output in prunable(module)


def test_lenet_is_the_papers() -> None:
    torch.manual_seed(0)
    module = LeNet300100()
    assert sum(value.numel() for value in module.parameters()) == 266_610  # Frankle & Carbin 2019, Figure 2: 266K
    assert not module.hidden1.bias.any()
    expected = math.sqrt(2 / (784 + 300))  # Glorot & Bengio 2010
    assert module.hidden1.weight.std().item() == pytest.approx(expected, rel=0.01)


def test_a_seed_decides_the_weights_and_the_global_generator_is_left_alone() -> None:
    spec = describe("lenet-300-100", LeNet300100, (8, 8), 10)
    state = torch.get_rng_state()
    first, again, other = (make_model(spec, LeNet300100, seed).output.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


def test_a_factory_is_given_only_what_it_asks_for() -> None:
    assert describe("plain", lambda: nn.Linear(8, 10), (8,), 10).arguments == {}
    assert describe("some", lambda num_classes: nn.Linear(8, num_classes), (8,), 10).arguments == {"num_classes": 10}


def test_another_initialisation_is_another_model() -> None:
    def make(scale: float) -> nn.Module:
        module = nn.Linear(2, 2)
        nn.init.normal_(module.weight, std=scale)
        return module

    small, large = (describe("mine", lambda scale=scale: make(scale), (2,), 2) for scale in (0.1, 1.0))
    assert (small.structure, small.draw) != (large.structure, large.draw)


@pytest.mark.parametrize(("width", "message"), [(3, "does not take inputs"), (2, r"logits of shape \(2, 5\)")])
def test_a_model_must_fit_the_data(width: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe("mine", lambda: nn.Linear(width, 2), (2,), 5)


def test_what_a_users_factory_raises_is_told_in_one_line() -> None:
    def broken() -> nn.Module:
        raise KeyError("no such layer")

    with pytest.raises(ValueError, match="cannot make the model 'mine'.*KeyError"):
        describe("mine", broken, (2,), 2)


def test_structure_changes_with_the_layers() -> None:
    relu, tanh = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    assert structure_digest(relu) != structure_digest(tanh)
    spec = describe("mine", lambda: relu, (2,), 2)
    with pytest.raises(ValueError, match="no longer has the structure"):
        make_model(spec, lambda: tanh, 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lenet-300", "Did you mean 'lenet-300-100'"),
        ("nowhere.at.all:make", "cannot import the model"),
        ("torch.nn:NoSuchThing", "cannot import the model"),
        ("math:pi", "is a float"),
    ],
)
def test_names_that_are_no_model(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_factory(name)


def test_a_factory_that_makes_no_module() -> None:
    with pytest.raises(ValueError, match="made a dict"):
        describe("mine", lambda: {}, (2,), 2)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="cannot make the model"):
        describe("mine", lambda width: nn.Linear(width, 2), (2,), 2)
