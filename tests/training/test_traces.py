"""Traces: the sum of -gradient * weight over a training."""

import pytest
import torch
import torch.nn.functional as F
from trainings import digits, member, run, short_training, small_net, x_and_y

from lth.data.order import epoch_order


@pytest.mark.parametrize("size", [1, 2])
def test_movement_by_hand(size: int) -> None:
    """Three steps of SGD in plain torch; masked gradients, and the clip does not matter to the sum."""
    x, y = x_and_y(digits()["train"])
    members = [member(small_net, seed) for seed in range(size)]
    training = short_training(
        optimizer="sgd", lr=0.1, steps=3, precision="float64", clip=0.5, traces=["movement_pruning"]
    )
    outcomes = run(members, small_net(), training)
    for each, outcome in zip(members, outcomes, strict=True):
        module = small_net().double()
        module.load_state_dict(each.start)
        parameters = dict(module.named_parameters())
        sums = {name: torch.zeros_like(value) for name, value in parameters.items()}
        order = epoch_order(len(y), each.seeds.order, 0)
        for step in range(3):
            batch = order[20 * step : 20 * step + 20]
            loss = F.cross_entropy(module(x[batch].double()), y[batch])
            gradients = dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))
            with torch.no_grad():
                for name, value in parameters.items():
                    gradients[name] *= each.masks.get(name, 1)
                    sums[name] -= gradients[name] * value
                norm = torch.cat([value.reshape(-1) for value in gradients.values()]).norm()
                for name, value in parameters.items():
                    value -= 0.1 * gradients[name] * min(1.0, 0.5 / (float(norm) + 1e-6))
        assert outcome.traces.keys() == {"movement_pruning"}
        for name, wanted in sums.items():
            found = outcome.traces["movement_pruning"][name]
            torch.testing.assert_close(found, wanted.detach(), rtol=0, atol=1e-12)
            if name in each.masks:
                assert not found[~each.masks[name]].any()
        assert outcome.traces["movement_pruning"]["1.weight"].any()


def test_a_trace_changes_nothing_else() -> None:
    plain, traced = (
        run([member(small_net, 1)], small_net(), short_training(traces=traces))[0]
        for traces in ((), ("movement_pruning", "moments"))
    )
    assert all(torch.equal(value, traced.weights[name]) for name, value in plain.weights.items())
    assert plain.history == traced.history
    assert set(traced.traces) == {"movement_pruning"}
    assert set(traced.moments or {}) == {"exp_avg", "exp_avg_sq", "step"}
    assert plain.moments is None


def test_unknown_traces_are_errors() -> None:
    with pytest.raises(ValueError, match="unknown trace 'movement_prunin'. Did you mean 'movement_pruning'"):
        run([member(small_net, 1)], small_net(), short_training(traces=["movement_prunin"]))
