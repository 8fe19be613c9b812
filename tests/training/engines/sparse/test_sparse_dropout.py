"""Dropout of the sparse engine: seeded, as often as asked for, scaled, differentiated, and absent from evaluations."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from sparse_trainings import largest_difference, perceptron, train_one
from torch import Tensor
from trainings import assert_same_bits, digits, dropout_net, member, short_training, x_and_y

from lth.data.order import epoch_order
from lth.training import Member, Where
from lth.training.engines import ENGINES

HIDDEN = 40


def dropping(activation: str, *rates: float) -> Any:
    """64 inputs, one hidden layer of 40 units for each rate, 10 classes."""
    widths = (64, *[HIDDEN] * len(rates), 10)
    return perceptron(widths, (*[activation] * len(rates), "identity"), dropouts=(*rates, 0.0))


def engine_of(one: Member, module: Any, training: Any) -> Any:
    return ENGINES["sparse"].make([one], module, digits(), training, Where())


def outputs_of(engine: Any, layer: int, batch: int) -> Tensor:
    """(batch, unit) what a hidden layer gave for the last batch, after activation and dropout."""
    units = engine.network.buffers.units[layer * HIDDEN : (layer + 1) * HIDDEN, :batch]
    return torch.from_numpy(np.ascontiguousarray(units.T).copy())


def test_the_augmentation_seed_decides() -> None:
    one = member(dropout_net, 1)
    other = Member(one.key, one.start, one.masks, one.seeds.model_copy(update={"augmentation": 99}))
    ends = [train_one(each, dropout_net(), short_training()).weights for each in (one, one, other)]
    assert_same_bits(ends[0], ends[1])
    assert not torch.equal(ends[0]["4.weight"], ends[2]["4.weight"])
    module, state = dropout_net(), torch.get_rng_state()
    train_one(one, module, short_training())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_as_often_as_asked_for_and_each_time_anew(rate: float) -> None:
    """Draws are even over units, examples and steps, and do not repeat; 300 steps of 13 examples and 40 units."""
    training = short_training(batch_size=13, precision="float64", lr=1e-9, steps=400)
    one = member(lambda: dropping("tanh", rate), 1, density=None)
    engine = engine_of(one, dropping("tanh", rate), training)
    draws = []
    for step in range(300):
        engine.advance(step, 1)
        draws.append(outputs_of(engine, 0, 13) == 0)
    dropped = torch.stack(draws).double()  # (step, example, unit)

    def is_within(share: Tensor, count: int) -> bool:
        return bool(((share - rate).abs() < 5 * (rate * (1 - rate) / count) ** 0.5).all())

    assert is_within(dropped.mean(), dropped.numel())
    assert is_within(dropped.mean((0, 1)), 300 * 13)  # by unit
    assert is_within(dropped.mean((0, 2)), 300 * HIDDEN)  # by example
    assert is_within(dropped.mean((1, 2)), 13 * HIDDEN)  # by step
    centred = (dropped - rate) / (rate * (1 - rate)) ** 0.5
    neighbours = [
        (centred[1:] * centred[:-1]).mean(),
        (centred[:, 1:] * centred[:, :-1]).mean(),
        (centred[:, :, 1:] * centred[:, :, :-1]).mean(),
        (centred[1:, :-1] * centred[:-1, 1:]).mean(),  # the next example at the step before
    ]
    assert max(abs(float(each)) for each in neighbours) < 5 / dropped[1:, 1:, 1:].numel() ** 0.5


@pytest.mark.parametrize("batch", [13, 41])
@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
def test_scaled_and_differentiated_as_torch_does(activation: str, batch: int) -> None:
    """One step of plain SGD at rate 1 is minus the gradient; torch gets the draws that are seen in the outputs."""
    rates = (0.3, 0.5)
    training = short_training(batch_size=batch, optimizer="sgd", lr=1.0, precision="float64")
    one = member(lambda: dropping(activation, *rates), 2, density=None)
    engine = engine_of(one, dropping(activation, *rates), training)
    loss = float(engine.advance(0, 1))
    x, y = x_and_y(digits()["train"])
    chosen = epoch_order(len(y), one.seeds.order, 0)[:batch]
    module = dropping(activation, *rates).double()
    module.load_state_dict(one.start)
    linears = [each for each in module if isinstance(each, torch.nn.Linear)]
    values = x[chosen].double().flatten(1)
    for index, rate in enumerate(rates):
        values = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda x: x}[activation](linears[index](values))
        found = outputs_of(engine, index, batch)
        kept = found != 0
        assert 0.1 < float(kept.double().mean()) < 0.8
        torch.testing.assert_close(found[kept], values[kept] / (1 - rate), rtol=1e-12, atol=1e-13)
        values = values * kept / (1 - rate)  # a ReLU's zeros are zero, kept or not
    wanted = F.cross_entropy(linears[-1](values), y[chosen])
    wanted.backward()
    assert loss == pytest.approx(float(wanted.detach()), abs=1e-12)
    gradients = {name: one.start[name].double() - value for name, value in engine.state_of(0).items()}
    expected = {name: parameter.grad for name, parameter in module.named_parameters()}
    assert largest_difference(gradients, expected) < 1e-12


def test_evaluation_does_not_drop() -> None:
    one = member(dropout_net, 1)
    training = short_training(batch_size=13, precision="float64")
    outcome = train_one(one, dropout_net(), training)
    module = dropout_net().double().eval()
    module.load_state_dict(outcome.weights)
    with torch.no_grad():
        for part, found in (
            ("validation", outcome.history.curves["validation/loss"][-1]),
            ("test", outcome.history.end["test/loss"]),
        ):
            x, y = x_and_y(digits()[part])
            assert found == pytest.approx(float(F.cross_entropy(module(x.double()), y)), abs=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_dropping_everything_leaves_the_biases(activation: str) -> None:
    """As in torch: zeros, and gradients of zero."""
    training = short_training(batch_size=13, optimizer="sgd", lr=0.1, precision="float64")
    one = member(lambda: dropping(activation, 1.0), 1, density=None)
    ends = [
        train_one(one, dropping(activation, 1.0), training, engine=engine).weights for engine in ("torch", "sparse")
    ]
    assert largest_difference(*ends) < 1e-12


def test_it_does_as_well_as_torchs_dropout() -> None:
    """Other draws, the same distribution: paired over 10 seeds the test losses do not differ, by much less than dropout
    changes them."""
    training = short_training(steps=200, evaluate_every=200)

    def loss_of(seed: int, rate: float, engine: str) -> float:
        one = member(lambda: dropping("relu", rate), seed, density=None)
        outcome = train_one(one, dropping("relu", rate), training, engine=engine)
        return float(outcome.history.end["test/loss"])

    own, torchs, without = (
        np.array([loss_of(seed, rate, engine) for seed in range(10)])
        for rate, engine in ((0.7, "sparse"), (0.7, "torch"), (0.0, "sparse"))
    )
    half_width = stats.sem(own - torchs) * stats.t.ppf(0.995, len(own) - 1)
    assert abs(np.mean(own - torchs)) < half_width
    assert 0 < half_width < np.mean(own - without) / 2
