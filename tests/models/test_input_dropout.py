"""Dropout on the inputs of chosen layers of any network."""

import pytest
import torch
from torch import nn

from lth.models import LeNet300100, ModelSpec
from lth.models.dropout import InputDropout, with_dropout
from lth.models.spec import make_model


def test_a_network_with_dropout_has_the_same_names_and_weights_and_drops_in_training_alone() -> None:
    plain = ModelSpec(name="lenet-300-100", arguments={"input_shape": (8, 8)})
    dropping = plain.model_copy(update={"dropout": InputDropout(p=0.5, weights=("hidden2.weight",))})
    one, other = (make_model(spec, LeNet300100, seed=3) for spec in (plain, dropping))
    state = other.state_dict()
    assert list(state) == list(one.state_dict())
    assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())
    inputs = torch.rand(5, 8, 8)
    assert torch.equal(one.eval()(inputs), other.eval()(inputs))
    seen = []
    other.get_submodule("hidden2").register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    other.train()(inputs)
    hidden = torch.relu(one.get_submodule("hidden1")(inputs.flatten(1)))
    dropped = seen[0] == 0
    assert torch.equal(seen[0][~dropped], 2 * hidden[~dropped])  # what is kept grows by 1 / (1 - p)
    assert float(dropped[hidden > 0].float().mean()) == pytest.approx(0.5, abs=0.1)


class Attends(nn.Module):
    """A layer of attention, whose projections are not called, and one of recurrence."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.recurrent = nn.MultiheadAttention(4, 2), nn.LSTM(4, 4)


@pytest.mark.parametrize(
    "name",
    ["attention.out_proj.weight", "attention.in_proj_weight", "recurrent.weight_ih_l0", "attention.out_proj.bias"],
)
def test_layers_that_are_not_called_as_such_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"dropout does not reach {name}.*--never-prune {name}"):
        with_dropout(Attends(), InputDropout(p=0.1, weights=(name,)))
