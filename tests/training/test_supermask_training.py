"""Supermasks train as any network does: their scores move, their weights do not."""

from typing import Any

import pytest
import torch
from torch import nn
from trainings import assert_close, digits, lenet, run, short_training, start_of, x_and_y

from lth.config import SupermaskSettings
from lth.models.supermask import Supermask, masks_of
from lth.sparsity import density
from lth.training import Member, Seeds

SETTINGS = {
    "bernoulli": SupermaskSettings(method="bernoulli", rescale=True),
    "edge_popup": SupermaskSettings(method="edge_popup", density=0.3, rescale=True),
}


def made(settings: SupermaskSettings) -> Any:
    def make() -> nn.Module:
        return Supermask(lenet(), settings)

    return make


def supermask(settings: SupermaskSettings, seed: int) -> Member:
    return Member(f"{seed}", start_of(made(settings), seed), {}, Seeds(init=seed, order=seed, augmentation=seed))


@pytest.mark.parametrize("method", SETTINGS)
def test_scores_move_and_weights_do_not(method: str) -> None:
    """And the thresholded masks are what validation and tests measure."""
    settings = SETTINGS[method]
    one = supermask(settings, 1)
    training = short_training(steps=200, batch_size=60, evaluate_every=50, lr=0.05, optimizer="adam")
    outcome = run([one], made(settings)(), training)[0]
    for name, value in outcome.weights.items():
        assert torch.equal(value, one.start[name]) == name.startswith("network."), name
    losses = outcome.history.curves["validation/loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert outcome.history.end["test/accuracy"] > 0.6
    module = made(settings)().eval()
    module.load_state_dict(outcome.weights)
    x, y = x_and_y(digits()["test"])
    masked = lenet().eval()
    masked.load_state_dict(module.masked_state(module.thresholded()))
    assert float((masked(x).argmax(1) == y).double().mean()) == pytest.approx(
        outcome.history.end["test/accuracy"], abs=1 / 719
    )
    if method == "edge_popup":
        assert density(masks_of(outcome.weights, settings)) == pytest.approx(0.3, abs=1e-3)


def test_a_stack_of_them_equals_each_alone() -> None:
    """Of those that draw nothing: edge_popup."""
    settings = SETTINGS["edge_popup"]
    members, training = [supermask(settings, seed) for seed in (1, 2)], short_training(precision="float64")
    for each, outcome in zip(members, run(members, made(settings)(), training), strict=True):
        assert_close(outcome, run([each], made(settings)(), training)[0])
