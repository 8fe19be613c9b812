"""The cut as data, and what a network costs."""

import pytest
import torch
from compact_networks import encoder, mlp
from torch import nn

from lth.sparsity.compact import Cut, apply_cut, compact, real_costs


def test_a_plan_is_data() -> None:
    module, mask = mlp(nn.ReLU), torch.ones(10, 6).bool()
    mask[3:] = False
    cut = compact(module, {"0.weight": mask}, (6,)).cut
    assert Cut.model_validate_json(cut.model_dump_json()) == cut
    with pytest.raises(ValueError, match=r"another architecture: there is no tensor '0\.weight'"):
        apply_cut(nn.ReLU(), cut)
    with pytest.raises(ValueError, match="another architecture"):
        apply_cut(nn.Sequential(nn.Linear(6, 2), nn.ReLU(), nn.Linear(2, 1)), cut)
    with pytest.raises(ValueError, match="'self_attn' is a Linear, not nn.MultiheadAttention"):
        apply_cut(nn.ModuleDict({"self_attn": nn.Linear(1, 1)}), Cut(attention=("self_attn",)))


def test_costs_by_hand() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 4 * 4, 3)).train()
    found = real_costs({"one": module, "two": nn.Flatten()}, (torch.zeros(7, 1, 6, 6),), turns=3, seconds=0.001)
    assert found["one"].parameters == 20 + 4 + 99
    assert found["one"].flops == 2 * (18 * 16 + 96)
    assert found["one"].bytes == 4 * (20 + 8 + 99) + 8  # batch norm counts its batches in one int64
    assert len(found["one"].turns) == 3
    assert found["one"].milliseconds == sorted(found["one"].turns)[1] > 0
    assert (found["two"].parameters, found["two"].flops, found["two"].bytes) == (0, 0, 0)
    assert module.training
    with pytest.raises(ValueError, match="at least one example"):
        real_costs({"one": module}, (torch.zeros(0, 1, 6, 6),))


def test_attention_is_counted_whole_before_and_after() -> None:
    module = encoder()
    mask = torch.ones(8, 8).bool()
    mask[:, :4] = False
    small = compact(module, {"self_attn.out_proj.weight": mask}, (5, 8)).module
    found = real_costs({"before": module, "after": small}, (torch.zeros(2, 5, 8),), turns=1, seconds=0.001)
    scores = 2 * 5 * 5 * 8  # queries with keys, and weights with values
    assert found["before"].flops == 2 * (5 * (4 * 64 + 2 * 80) + scores)
    assert found["after"].flops == 2 * (5 * (2 * 64 + 2 * 80) + scores // 2)
