"""Dead units: by weights and by activations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lth.sparsity.metrics import (
    dead_inputs,
    dead_outputs,
    dead_units,
    dead_units_in_chain,
    mean_activations,
    silent_units,
)

FIRST = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, -2.0]])  # unit 1 reads nothing
SECOND = torch.tensor([[0.0, 3.0, 1.0], [0.0, 0.0, 1.0]])  # nothing reads unit 0


def test_by_hand() -> None:
    assert dead_outputs(FIRST).tolist() == [False, True, False]
    assert dead_inputs(SECOND).tolist() == [True, False, False]
    units = dead_units(FIRST, SECOND)
    assert units.no_incoming.tolist() == [False, True, False]
    assert units.no_outgoing.tolist() == [True, False, False]
    assert units.dead.tolist() == [True, True, False]


def test_masks_and_weights_say_the_same() -> None:
    assert torch.equal(dead_units(FIRST != 0, SECOND != 0).dead, dead_units(FIRST, SECOND).dead)


def test_channels_of_a_convolution() -> None:
    weight = torch.ones(3, 2, 2, 2)
    weight[1] = 0
    weight[:, 0] = 0
    assert dead_outputs(weight).tolist() == [False, True, False]
    assert dead_inputs(weight).tolist() == [True, False]
    linear = torch.ones(5, 3 * 4)  # reads three flattened channels of four positions
    linear[:, 8:12] = 0
    linear[:, 0] = 0  # one position of channel 0: the channel is read still
    assert dead_units(weight, linear).no_outgoing.tolist() == [False, False, True]


def test_a_chain_looks_at_each_pair() -> None:
    third = torch.tensor([[1.0, 0.0]])
    found = dead_units_in_chain([FIRST, SECOND, third])
    assert [units.dead.tolist() for units in found] == [[True, True, False], [False, True]]
    with pytest.raises(ValueError, match="two layers or more, found 1"):
        dead_units_in_chain([FIRST])


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000))
def test_units_that_are_dead_do_not_matter(inputs: int, units: int, outputs: int, seed: int) -> None:
    """A bias-free network computes the same without its dead units."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (
        torch.randint(-1, 2, shape, generator=generator).double() * (torch.rand(shape, generator=generator) < 0.4)
        for shape in ((units, inputs), (outputs, units))
    )
    keep = ~dead_units(first, second).dead
    x = torch.randn(6, inputs, generator=generator, dtype=torch.float64)
    assert torch.allclose((x @ first.T).relu() @ second.T, (x @ first[keep].T).relu() @ second[:, keep].T)


def test_layers_that_do_not_follow_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="3 outputs cannot feed one with 2 inputs"):
        dead_units(FIRST, FIRST)
    with pytest.raises(ValueError, match="a vector has no inputs"):
        dead_outputs(torch.ones(3))


def network() -> nn.Sequential:
    """Linear, ReLU, dropout, Linear; hidden unit 1 is never on for inputs in [0, 1]."""
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, -1.0], [0.0, 2.0]]))
        net[0].bias.copy_(torch.tensor([0.0, -0.1, 1.0]))
    return net


INPUTS = torch.tensor([[0.0, 0.5], [1.0, 0.25], [0.5, 0.0]])


def test_mean_activations_by_hand() -> None:
    expected = [0.5, 0.0, (2.0 + 1.5 + 1.0) / 3]
    for batch_size in (1, 2, 256):
        found = mean_activations(network(), ["1"], INPUTS, batch_size=batch_size)
        assert found["1"].tolist() == pytest.approx(expected)
    before = mean_activations(network(), ["0", "1"], INPUTS)
    assert before["0"].tolist() == pytest.approx([0.5, (0.6 + 1.35 + 0.6) / 3, 1.5])
    assert before["1"].tolist() == pytest.approx(expected)


def test_silent_units_and_the_threshold() -> None:
    assert silent_units(network(), ["1"], INPUTS)["1"].tolist() == [False, True, False]
    assert silent_units(network(), ["1"], INPUTS, threshold=0.5)["1"].tolist() == [True, True, False]
    with pytest.raises(ValueError, match=r"threshold -0\.1 is negative"):
        silent_units(network(), ["1"], INPUTS, threshold=-0.1)


def test_the_module_is_left_as_it_was() -> None:
    net = network()
    net[2].eval()
    silent_units(net, ["1"], INPUTS)
    assert [layer.training for layer in net] == [True, True, False, True]
    assert net.training
    assert all(not layer._forward_hooks for layer in net.modules())
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        silent_units(net, ["1"], torch.ones(3, 5))
    assert net.training
    assert all(not layer._forward_hooks for layer in net.modules())


def test_channels_and_positions() -> None:
    convolution = nn.Conv2d(1, 2, 1, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([2.0, 0.0]).reshape(2, 1, 1, 1))
    images = torch.arange(8.0).reshape(2, 1, 2, 2)
    assert mean_activations(convolution, [""], images)[""].tolist() == [7.0, 0.0]
    tokens = torch.tensor([[[1.0, 0.0], [3.0, 0.0]]])  # (example, position, unit)
    assert mean_activations(nn.Identity(), [""], tokens, unit_axis=-1)[""].tolist() == [2.0, 0.0]


def test_layers_that_give_nothing_are_named() -> None:
    with pytest.raises(ValueError, match="no layer 'relu'. Layers: 0, 1, 2, 3"):
        mean_activations(network(), ["relu"], INPUTS)
    with pytest.raises(ValueError, match="no examples"):
        mean_activations(network(), ["1"], INPUTS[:0])
    attention = nn.MultiheadAttention(4, 2)
    with pytest.raises(ValueError, match="'attention.out_proj' was not run"):
        mean_activations(Self(attention), ["attention.out_proj"], torch.ones(2, 3, 4))
    with pytest.raises(ValueError, match="'attention' gives no tensor.*but tuple"):
        mean_activations(Self(attention), ["attention"], torch.ones(2, 3, 4))


class Self(nn.Module):
    """Self-attention of one input."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        attended: torch.Tensor = self.attention(x, x, x)[0]
        return attended
