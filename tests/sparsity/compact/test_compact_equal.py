"""A compact network computes what the masked one computes, whatever the masks."""

import copy
from dataclasses import replace

import pytest
import torch
from compact_networks import NETWORKS, drawn_masks, network
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lth.models import MODELS
from lth.sparsity import Masks
from lth.sparsity.compact import Compacted, apply_cut, compact

DENSITIES = st.lists(st.sampled_from([0.0, 0.03, 0.1, 0.25, 0.5, 1.0]), min_size=1, max_size=5)


def by_hand(module: nn.Module, masks: Masks, inputs: Tensor) -> Tensor:
    """The outputs of the masked network, by PyTorch alone."""
    masked = copy.deepcopy(module)
    with torch.no_grad():
        for name, mask in masks.items():
            masked.get_parameter(name).mul_(mask)
        found: Tensor = masked(inputs)
    return found


def outputs(found: Compacted, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        result: Tensor = found.module(inputs)
    return result


def sizes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


@pytest.mark.parametrize("name", NETWORKS)
@given(densities=DENSITIES, is_structured=st.booleans(), drops=st.booleans(), seed=st.integers(0, 10_000))
@settings(max_examples=5, deadline=None)
def test_equal_to_the_masked_network(
    name: str, densities: list[float], is_structured: bool, drops: bool, seed: int
) -> None:
    module, shape = network(name, seed).double(), NETWORKS[name][1]
    before = {key: value.clone() for key, value in module.state_dict().items()}
    masks = drawn_masks(module, densities, is_structured, seed)
    found = compact(module, masks, shape, drop_inputs=drops)
    inputs = 2 * torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    torch.testing.assert_close(outputs(found, inputs), by_hand(module, masks, inputs), rtol=1e-10, atol=1e-10)
    # The original is as it was, and the compact network shares nothing with it.
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    pointers = {value.data_ptr() for value in module.state_dict().values()}
    assert not pointers & {value.data_ptr() for value in found.module.state_dict().values()}
    # The original's class takes the shape by the cut alone, and a second compaction finds nothing.
    rebuilt = apply_cut(module, found.cut)
    rebuilt.load_state_dict(found.module.state_dict())
    assert torch.equal(outputs(replace(found, module=rebuilt.eval()), inputs), outputs(found, inputs))
    again = compact(found.module, {}, shape, drop_inputs=drops)
    assert sizes(again.module) == sizes(found.module)


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_pruned_is_nothing_changed(name: str) -> None:
    module, shape = network(name, 0), NETWORKS[name][1]
    found = compact(module, {}, shape)
    assert found.cut.model_dump(exclude_defaults=True) == {}
    assert repr(found.module) == repr(module)
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in found.module.state_dict().items())
    assert found.left_alone == {}


DEEPER = ("conv-4", "resnet-32", "resnet-56", "vgg-13", "vgg-16", "vgg-19")
"""Built as others of their family are, and slow in float64."""


@pytest.mark.parametrize("name", sorted({name for name in MODELS if MODELS[name].output} - {*DEEPER}))  # of images
@pytest.mark.parametrize("is_structured", [False, True])
def test_every_model_of_the_table(name: str, is_structured: bool) -> None:
    torch.manual_seed(0)
    size = 16 if name.startswith("vgg") else 32 if name in ("resnet-18", "resnet-50") else 8
    module = MODELS[name].make(input_shape=(size, size), num_classes=10).eval().double()
    drawn = drawn_masks(module, [0.02, 0.1], is_structured, 0)
    masks = {key: mask for key, mask in drawn.items() if key not in ("position", MODELS[name].output)}
    inputs = torch.randn(3, size, size, dtype=torch.float64)
    found = compact(module, masks, (size, size))
    torch.testing.assert_close(outputs(found, inputs), by_hand(module, masks, inputs), rtol=1e-10, atol=1e-10)
    assert sum(map(Tensor.numel, found.module.parameters())) < sum(map(Tensor.numel, module.parameters()))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_twice(name: str) -> None:
    module, shape = network(name, 1), NETWORKS[name][1]
    masks = drawn_masks(module, [0.1, 0.3], False, 2)
    first, second = (compact(module, masks, shape) for _ in range(2))
    assert first.cut == second.cut
    assert all(torch.equal(value, second.module.state_dict()[key]) for key, value in first.module.state_dict().items())


@pytest.mark.parametrize("name", NETWORKS)
def test_each_tensor_emptied_in_turn(name: str) -> None:
    module, shape = network(name, 3).double(), NETWORKS[name][1]
    inputs = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for key, value in module.named_parameters():
        if value.ndim > 1 and "position" not in key:
            masks = {key: torch.zeros_like(value, dtype=torch.bool)}
            found = compact(module, masks, shape)
            torch.testing.assert_close(outputs(found, inputs), by_hand(module, masks, inputs), rtol=1e-10, atol=1e-10)
            assert sum(map(Tensor.numel, found.module.parameters())) <= sum(
                map(Tensor.numel, module.parameters())
            ) + sum(map(len, found.cut.biases))
