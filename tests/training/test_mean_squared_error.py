"""Training by mean squared error equals a loop written by hand; everything measured is that loss too."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trainings import classification, digits, lenet, member, run, short_training, small_net, x_and_y

from lth.config import Training
from lth.data.order import epoch_order
from lth.training import Member

FIELDS = {
    "task": classification(minimise="mean_squared_error"), "precision": "float64", "steps": 30, "evaluate_every": 10
}  # fmt: skip


def loss_of(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(module(inputs), F.one_hot(labels, 10).double())


def by_hand(each: Member, training: Training) -> tuple[nn.Module, list[float]]:
    """The network after its training, and the loss of every step."""
    (x, y), module, losses = x_and_y(digits()["train"]), small_net().double(), []
    module.load_state_dict(each.start)
    optimizer = torch.optim.Adam(module.parameters(), lr=training.lr)
    order = epoch_order(len(y), each.seeds.order, 0)
    for step in range(training.steps):
        batch = order[step * training.batch_size : (step + 1) * training.batch_size]
        loss = loss_of(module, x[batch].double(), y[batch])
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
    training = short_training(**FIELDS)
    members = [member(small_net, seed) for seed in range(size)]
    for each, outcome in zip(members, run(members, small_net(), training), strict=True):
        module, losses = by_hand(each, training)
        for name, value in module.state_dict().items():
            torch.testing.assert_close(outcome.weights[name], value, rtol=0, atol=1e-12)
        with torch.no_grad():
            test, validation = (
                float(loss_of(module, x.double(), y))
                for x, y in map(x_and_y, (digits()["test"], digits()["validation"]))
            )
        assert outcome.history.end["test/loss"] == pytest.approx(test, abs=1e-12)
        assert outcome.history.curves["validation/loss"][-1] == pytest.approx(validation, abs=1e-12)
        assert outcome.history.curves["train/loss"][-1] == pytest.approx(sum(losses[20:]) / 10, abs=1e-12)


def test_it_learns() -> None:
    training = short_training(task=classification(minimise="mean_squared_error"), steps=150, evaluate_every=50)
    history = run([member(lenet, 1)], lenet(), training)[0].history
    assert history.curves["validation/loss"][-1] < history.curves["validation/loss"][0] / 3
    assert history.end["test/accuracy"] > 0.8


def test_autocast_measures_in_single_precision() -> None:
    """The loss itself is as exact as that of float32 logits."""
    training = short_training(**{**FIELDS, "precision": "bfloat16", "steps": 5})
    found, exact = (
        run([member(small_net, 1)], small_net(), each)[0].history.curves["validation/loss"][0]
        for each in (training, short_training(**{**FIELDS, "precision": "float32", "steps": 5}))
    )
    assert found == pytest.approx(exact, rel=0.02)
