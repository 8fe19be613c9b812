"""Training by mean squared error equals a loop written by hand; everything measured is that loss too."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trainings import digits_split, lenet, member, recipe, small_net

from lth.config import Recipe
from lth.data.order import epoch_order
from lth.training import Member, train

FIELDS = {"loss": "mean_squared_error", "precision": "float64", "duration": "30it", "evaluate_every": 10}


def loss_of(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(module(inputs), F.one_hot(labels, 10).double())


def by_hand(each: Member, schedule: Recipe) -> tuple[nn.Module, list[float]]:
    """The network after its training, and the loss of every step."""
    split, module, losses = digits_split(), small_net().double(), []
    module.load_state_dict(each.start)
    optimizer = torch.optim.Adam(module.parameters(), lr=schedule.lr)
    order = epoch_order(len(split.y_train), each.seeds.order, 0)
    for step in range(schedule.steps):
        batch = order[step * schedule.batch_size : (step + 1) * schedule.batch_size]
        loss = loss_of(module, split.x_train[batch].double(), split.y_train[batch])
        optimizer.zero_grad()
        loss.backward()
        for name, mask in each.masks.items():
            gradient = module.get_parameter(name).grad
            assert gradient is not None
            gradient.mul_(mask)
        optimizer.step()
        losses.append(float(loss.detach()))
    return module.eval(), losses


@pytest.mark.parametrize("size", [1, 3])
def test_equals_a_loop_by_hand(size: int) -> None:
    schedule, split = recipe(**FIELDS), digits_split()
    members = [member(small_net, seed) for seed in range(size)]
    for each, outcome in zip(members, train(members, small_net(), split, schedule), strict=True):
        module, losses = by_hand(each, schedule)
        for name, value in module.state_dict().items():
            torch.testing.assert_close(outcome.weights[name], value, rtol=0, atol=1e-12)
        with torch.no_grad():
            test = float(loss_of(module, split.x_test.double(), split.y_test))
            validation = float(loss_of(module, split.x_validation.double(), split.y_validation))
        assert outcome.metrics["test_loss"] == pytest.approx(test, abs=1e-12)
        assert outcome.metrics["validation_loss"][-1] == pytest.approx(validation, abs=1e-12)
        assert outcome.metrics["train_loss"][-1] == pytest.approx(sum(losses[20:]) / 10, abs=1e-12)


def test_it_learns() -> None:
    schedule = recipe(loss="mean_squared_error", duration="150it", evaluate_every=50)
    metrics = train([member(lenet, 1)], lenet(), digits_split(), schedule)[0].metrics
    assert metrics["validation_loss"][-1] < metrics["validation_loss"][0] / 3
    assert metrics["test_accuracy"] > 0.8


def test_autocast_measures_in_single_precision() -> None:
    """The loss itself is as exact as that of float32 logits."""
    schedule = recipe(**{**FIELDS, "precision": "bfloat16", "duration": "5it"})
    found, exact = (
        train([member(small_net, 1)], small_net(), digits_split(), each)[0].metrics["validation_loss"][0]
        for each in (schedule, recipe(**{**FIELDS, "precision": "float32", "duration": "5it"}))
    )
    assert found == pytest.approx(exact, rel=0.02)
