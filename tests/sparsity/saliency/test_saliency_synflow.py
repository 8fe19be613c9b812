"""SynFlow: by hand, its conservation law, norms, depth, and its rounds."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency_nets import double, evidence_of, linear, network
from torch import Tensor, nn

from lth.sparsity import CRITERIA, criterion, in_rounds, network_of
from lth.sparsity.evidence import Evidence
from lth.sparsity.select import select
from lth.sparsity.types import Masks, Scores

synflow = CRITERIA["synflow"]


def test_by_hand() -> None:
    """Hidden values (3, 3), R = 1 * 3 + 2 * 3 = 9."""
    module = nn.Sequential(linear([1, -2], [0, 3]), nn.ReLU(), linear([-1, 2]))
    scores = synflow(evidence_of(module, double([5, 5]), torch.tensor([0])))
    assert torch.equal(scores["0.weight"], double([1, 2], [0, 6]))
    assert torch.equal(scores["2.weight"], double([3, 6]))


@given(widths=st.lists(st.integers(1, 6), min_size=3, max_size=5), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_every_layer_of_a_chain_has_the_same_sum(widths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    layers = [linear(*torch.randn(out, into, generator=generator).tolist()) for into, out in pairwise(widths)]
    module = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
    scores = synflow(evidence_of(module, torch.randn(3, widths[0], generator=generator), torch.zeros(3).long()))
    sums = torch.stack([score.sum() for score in scores.values()])
    assert torch.allclose(sums, sums[0].expand_as(sums), rtol=1e-10)


def test_batch_norm_only_scales() -> None:
    """By |gain| / sqrt(variance + eps): running means would take away what flows."""
    module = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2, eps=0), nn.ReLU(), nn.Flatten()).double()
    module[0].weight.data = double(-3, 2).reshape(2, 1, 1, 1)
    module[1].weight.data, module[1].bias.data = double(-1, 4), double(0, -7)
    module[1].running_mean, module[1].running_var = double(100, -100), double(4, 16)
    scores = synflow(evidence_of(module, torch.zeros(1, 1, 1, 2), torch.tensor([0])))
    assert torch.allclose(scores["0.weight"].flatten(), double(2 * 3 / 2, 2 * 2 * 4 / 4))


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.LayerNorm(3), (3,)),
        (nn.RMSNorm(3), (3,)),
        (nn.GroupNorm(3, 3), (3, 1)),
        (nn.InstanceNorm1d(3, affine=True), (3, 2)),
        (nn.BatchNorm1d(3, track_running_stats=False), (3,)),
        (nn.LayerNorm(3, elementwise_affine=False), (3,)),
    ],
)
def test_other_norms_only_scale_and_keep_the_law(norm: nn.Module, shape: tuple[int, ...]) -> None:
    for parameter in norm.parameters():
        nn.init.constant_(parameter, -2.0)
    if isinstance(getattr(norm, "bias", None), nn.Parameter):
        nn.init.zeros_(norm.bias)
    size = 3 * (2 if shape == (3, 2) else 1)
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(size, size, bias=False), nn.Unflatten(1, shape), norm, nn.Flatten(), nn.Linear(size, 2)
    )
    nn.init.zeros_(module[-1].bias)
    evidence = evidence_of(module, torch.zeros(2, *shape), torch.tensor([0, 1]))
    first, last = synflow(evidence).values()
    assert torch.allclose(first.sum(), last.sum(), rtol=1e-10)
    gain = 2.0 if list(norm.parameters()) else 1.0
    flow = module[1].weight.double().abs().sum(1) * gain @ module[-1].weight.double().abs().sum(0)
    assert torch.allclose(first.sum(), flow, rtol=1e-10)


def test_no_data_is_looked_at() -> None:
    module, inputs, labels = network("convolutions")
    evidence = evidence_of(module, inputs, labels)
    network_here = network_of(evidence, "synflow")
    batch = {"x": inputs * 7 - 1, "y": labels * 0}
    other = replace(evidence, network=lambda: replace(network_here, batch=batch))
    one, two = synflow(evidence), synflow(other)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_tokens_and_additive_masks() -> None:
    """A model of tokens is fed token 1; an infinite entry of a buffer keeps its sign."""

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(3, 2)
            self.output = linear([1, -1])
            self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

        def forward(self, tokens: Tensor) -> Tensor:  # (batch, 2)
            return self.output((self.embed(tokens) * self.mask.softmax(0).unsqueeze(1)).sum(1))

    module = Tokens()
    module.embed.weight.data = torch.tensor([[9.0, 9], [2, -3], [9, 9]])
    scores = synflow(evidence_of(module, torch.zeros(4, 2, dtype=torch.int64), torch.zeros(4).long()))
    assert torch.equal(scores["output.weight"], double([2, 3]))


def chain(depth: int, width: int, value: float) -> Evidence:
    module = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(depth)))
    for layer in module:
        nn.init.constant_(layer.weight, value)
    return evidence_of(module, torch.zeros(2, width), torch.tensor([0, 1]))


def test_depth_overflows_late_and_loudly() -> None:
    scores = synflow(chain(40, 4, 1e5))
    assert all(bool((score > 1e200).all()) and bool(score.isfinite().all()) for score in scores.values())
    with pytest.raises(ValueError, match="'synflow' found a flow of inf: .* Use another criterion"):
        synflow(chain(40, 4, 1e9))


def density_after(masks: Masks) -> float:
    return sum(int(mask.sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())


def test_rounds_fall_exponentially_and_score_what_is_left() -> None:
    module, inputs, labels = network("lenet")
    evidence = evidence_of(module, inputs, labels)
    seen: list[Masks] = []
    shares: list[float] = []

    def cut(scores: Scores, masks: Masks, share: float) -> Masks:
        seen.append(masks)
        shares.append(share)
        assert all(bool((scores[name][~mask] == 0).all()) for name, mask in masks.items())
        return select(scores, masks, density=0.1**share)

    seen.append(in_rounds(synflow, evidence, 4, cut))
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert [density_after(masks) for masks in seen[1:]] == pytest.approx(
        [0.1 ** (r / 4) for r in (1, 2, 3, 4)], abs=1e-4
    )
    for more, fewer in pairwise(seen[1:]):
        assert all(bool((fewer[name] <= more[name]).all()) for name in fewer)
    assert evidence.masks == {}


def test_one_round_is_one_cut() -> None:
    module, inputs, labels = network("lenet")
    evidence = evidence_of(module, inputs, labels)
    masks = in_rounds(synflow, evidence, 1, lambda scores, masks, share: select(scores, masks, density=1 - 0.9 * share))
    expected = select(synflow(evidence), {}, density=0.1)
    assert all(torch.equal(mask, masks[name]) for name, mask in expected.items())
    with pytest.raises(ValueError, match="0 rounds prune nothing"):
        in_rounds(synflow, evidence, 0, lambda scores, masks, share: masks)


def test_a_hundred_rounds_keep_every_layer_alive() -> None:
    """The point of the paper: at a density where one cut empties a layer, rounds leave paths through all of them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(
            *(nn.Linear(width, out, bias=False) for width, out in ((30, 60), (60, 6), (6, 40), (40, 2)))
        )
    evidence = evidence_of(module, torch.zeros(1, 30), torch.tensor([0]))
    density = 6 / sum(weight.numel() for weight in evidence.end.values())

    def cut(scores: Scores, masks: Masks, share: float) -> Masks:
        return select(scores, masks, density=density**share)

    kept = {
        rounds: [int(mask.sum()) for mask in in_rounds(synflow, evidence, rounds, cut).values()]
        for rounds in (1, criterion("synflow").rounds)
    }
    assert min(kept[1]) == 0
    assert min(kept[100]) > 0
    assert sum(kept[1]) == sum(kept[100]) == 6
