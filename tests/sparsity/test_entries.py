"""Single weights by name, and that protected ones stay."""

import pytest
import torch
from torch import nn

from lth.config import Pruning
from lth.sparsity import Evidence, density, entries_of, prune


def network() -> nn.Module:
    return nn.ModuleDict({"a": nn.Linear(4, 6), "norm": nn.LayerNorm(6), "b": nn.Linear(6, 2, bias=False)})


def test_a_weight_is_output_and_input_with_or_without_its_ending() -> None:
    first, second = entries_of(network(), ["a:5,3", "a.weight:5,3"])
    assert (first.name, first.index) == (second.name, second.index) == ("a.weight", (5, 3))
    assert entries_of(network(), ["a.bias:2"])[0].index == (2,)


def test_input_first_layers_are_named_output_first_too() -> None:
    class Conv1D(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 6))  # 4 inputs, 6 outputs

    Conv1D.__module__ = "transformers.pytorch_utils"
    [entry] = entries_of(nn.ModuleDict({"c_fc": Conv1D()}), ["c_fc:5,3"])
    assert entry.index == (3, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("c:0,0", "'c:0,0': the model has no parameter 'c'. Its parameters: a.weight, a.bias"),
        ("a:6,0", r"'a:6,0': a.weight is stored as \[6, 4\], so its indices are 0 to 5, 0 to 3"),
        ("a:1", r"so its indices are 0 to 5, 0 to 3"),
    ],
)
def test_what_is_not_there_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        entries_of(network(), [text])


def test_text_that_names_no_weight_is_refused() -> None:
    for text in ("a.weight", "a:1,2*3", "1,2"):
        with pytest.raises(ValueError, match=r"must read NAME:OUTPUT,INPUT, as .*, or BLOCK,OUTPUT,INPUT"):
            Pruning(protect=text)  # type: ignore[arg-type]
    assert Pruning(protect="a:1,2; b:0,5").protect == ("a:1,2", "b:0,5")  # type: ignore[arg-type]


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_protected_weights_stay_and_others_go_in_their_place(scope: str) -> None:
    module, generator = network(), torch.Generator().manual_seed(0)
    end = {
        name: torch.randn(module.get_parameter(name).shape, generator=generator) for name in ("a.weight", "b.weight")
    }
    end["a.weight"][5, 3], end["b.weight"][0, 0] = 0.0, 1e-6  # the first to go
    masks, free = {}, Pruning(scope=scope, rate=0.4, rates={})
    held = Pruning(scope=scope, rate=0.4, rates={}, protect=("a:5,3", "b:0,0"))
    without = prune(Evidence(end, end, generator), module, free, 1)
    assert not without["a.weight"][5, 3]
    assert not without["b.weight"][0, 0]
    for level in (1, 2, 3):
        new = prune(Evidence(end, end, generator, masks=masks), module, held, level)
        assert density(new) == density(prune(Evidence(end, end, generator), module, free, level))
        assert new["a.weight"][5, 3]
        assert new["b.weight"][0, 0]
        assert all(bool((new[name] <= masks[name]).all()) for name in masks)
        masks = new


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("criterion", ["large_final", "random", "lamp"])
def test_weights_that_are_pruned_first_go_at_the_first_level_and_others_stay(scope: str, criterion: str) -> None:
    module, generator = network(), torch.Generator().manual_seed(0)
    end = {
        name: torch.randn(module.get_parameter(name).shape, generator=generator) for name in ("a.weight", "b.weight")
    }
    end["a.weight"][5, 3], end["b.weight"][0, 0] = 9.0, -8.0  # the last to go
    free = Pruning(criterion=criterion, scope=scope, rate=0.3, rates={})
    first = free.model_copy(update={"prune_first": ("a:5,3", "b:0,0"), "protect": ("a:0,0",)})
    masks: dict[str, torch.Tensor] = {}
    for level in (1, 2, 3):
        new = prune(Evidence(end, end, generator, masks=masks), module, first, level)
        assert density(new) == density(prune(Evidence(end, end, generator), module, free, level))
        assert not new["a.weight"][5, 3]
        assert not new["b.weight"][0, 0]
        assert new["a.weight"][0, 0]
        assert all(bool((new[name] <= masks[name]).all()) for name in masks)
        masks = new


def test_a_weight_is_not_protected_and_pruned_first() -> None:
    module = network()
    end = {"a.weight": module.get_parameter("a.weight").detach()}
    pruning = Pruning(protect=("a:1,2",), prune_first=("a.weight:1,2",))
    with pytest.raises(ValueError, match="prune_first: 'a.weight:1,2' is in protect too"):
        prune(Evidence(end, end, torch.Generator()), module, pruning, 1)


def test_what_is_not_pruned_needs_no_protection() -> None:
    module = network()
    end = {"a.weight": module.get_parameter("a.weight").detach()}
    with pytest.raises(ValueError, match="protect: 'a.bias:1' is in a.bias, which is not pruned"):
        prune(Evidence(end, end, torch.Generator()), module, Pruning(protect=("a.bias:1",)), 1)
