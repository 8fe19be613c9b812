"""What parameters cannot be shared out for is said in a line; how they are is tested over ranks, in `lineage`."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from torch import Tensor, nn
from trainings import Make, language_model, member, short_training, small_net

from lth.models import Gpt2
from lth.training.ranks import Ranks
from lth.training.sharding import _blocks, check_shardable

gpt2: Make = partial(Gpt2, 11, 7, n_layer=2, n_head=2, n_embd=8)
TWO = Ranks(0, 2)


class TiedBlocks(nn.Module):
    """Two blocks with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)])
        self.blocks[2].weight = self.blocks[0].weight

    def forward(self, inputs: Tensor) -> Tensor:
        for block in self.blocks:
            inputs = block(inputs)
        return inputs


def check(make: Make = gpt2, ranks: Ranks = TWO, **fields: Any) -> None:
    check_shardable(make(), short_training(task=language_model(), **fields), [member(make, 1)], ranks)


def test_what_can_be() -> None:
    """The embedding that is GPT-2's output layer too is one parameter, outside of blocks."""
    check()
    check(small_net, Ranks(0, 4))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ranks": Ranks()}, "several processes"),
        ({"ranks": Ranks(0, 3)}, "a batch that 3 processes share evenly, which 20 is not"),
        ({"traces": ("movement_pruning",)}, "no traces"),
        ({"measures": ("lifetimes",)}, "no measures"),
        ({"make": TiedBlocks}, r"tied across blocks \(weight\)"),
    ],
)
def test_what_cannot_be(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^--shard .*{words}.*: train without it$"):
        check(**fields)


def test_it_is_of_one_fresh_network() -> None:
    training, one = short_training(task=language_model()), member(gpt2, 1)
    with pytest.raises(ValueError, match="one network at a time"):
        check_shardable(gpt2(), training, [one, member(gpt2, 2)], TWO)
    with pytest.raises(ValueError, match="a fresh optimizer"):
        check_shardable(gpt2(), training, [replace(one, moments={"exp_avg": {}})], TWO)


def test_blocks_are_what_stands_in_lists_the_inner_ones_first() -> None:
    inner = nn.ModuleList([nn.Linear(2, 2)])
    outer = nn.Module()
    outer.experts = inner
    network = nn.Module()
    network.blocks = nn.ModuleList([outer, nn.ReLU(), nn.ModuleList([nn.Linear(2, 2)])])
    found = _blocks(network)
    assert set(found) == {inner[0], outer, network.blocks[2][0]}  # type: ignore[index]
    assert found.index(inner[0]) < found.index(outer)
    assert [type(each).__name__ for each in _blocks(gpt2())] == ["Block", "Block"]
    assert _blocks(nn.Sequential(nn.Linear(2, 2))) == []
