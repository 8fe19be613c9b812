"""Multiply-adds, against PyTorch's own counter and by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lth.sparsity import Masks, prunable, select
from lth.sparsity.metrics import Cost, multiply_adds, multiply_adds_by_tensor


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=4),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.Flatten(),
        nn.Linear(4 * 12 * 12, 10),
    )


def test_a_dense_network_costs_what_pytorch_counts() -> None:
    net, images = convolutional(), torch.zeros(5, 3, 16, 16)
    with FlopCounterMode(display=False) as counter:
        net(images)
    found = multiply_adds(net, {}, images)
    assert found.remaining == found.dense
    assert 2 * 5 * found.dense == counter.get_total_flops()


def test_masks_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 4 * 4, 3))
    masks: Masks = {"0.weight": torch.zeros(2, 1, 3, 3, dtype=torch.bool), "2.weight": torch.ones(3, 32).bool()}
    masks["0.weight"][0, 0, 1] = True
    masks["2.weight"][0] = False
    expected = {"0.weight": Cost(3 * 16, 18 * 16), "2.weight": Cost(64, 96)}
    for examples in (1, 7):
        assert multiply_adds_by_tensor(net, masks, torch.zeros(examples, 1, 6, 6)) == expected
    assert multiply_adds(net, masks, torch.zeros(1, 1, 6, 6)) == Cost(112, 384)


def test_an_mlp_costs_its_kept_weights() -> None:
    net = nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 5))
    weights = {name: net.get_parameter(name).detach() for name in prunable(net)}
    masks = select(weights, {}, sparsity=0.75, key=torch.abs)
    found = multiply_adds(net, masks, torch.zeros(3, 20))
    assert found == Cost(sum(int(mask.sum()) for mask in masks.values()), 250)


class Attending(nn.Module):
    def __init__(self, width: int, **options: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True, **options)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        attended: Tensor = self.attention(query, memory, value=memory, need_weights=False)[0]
        return attended


def test_attention_counts_each_projection_at_its_own_tokens() -> None:
    net, query, memory = Attending(4), torch.zeros(2, 3, 4), torch.zeros(2, 5, 4)
    mask = torch.ones(12, 4, dtype=torch.bool)
    mask[:4] = False  # of the query's projection
    found = multiply_adds_by_tensor(net, {"attention.in_proj_weight": mask}, query, memory)
    assert found["attention.in_proj_weight"] == Cost(16 * (5 + 5), 16 * (3 + 5 + 5))
    assert found["attention.out_proj.weight"] == Cost(16 * 3, 16 * 3)


def test_attention_with_separate_projections() -> None:
    net = Attending(4, kdim=6, vdim=6)
    found = multiply_adds_by_tensor(net, {}, torch.zeros(2, 3, 4), torch.zeros(2, 5, 6))
    assert {name.rpartition(".")[2] if "proj_w" in name else name: each.dense for name, each in found.items()} == {
        "q_proj_weight": 16 * 3,
        "k_proj_weight": 24 * 5,
        "v_proj_weight": 24 * 5,
        "attention.out_proj.weight": 16 * 3,
    }


def test_a_transformer_layer_is_counted_whole() -> None:
    """PyTorch has a fused path for it that would run none of its layers."""
    net = nn.TransformerEncoderLayer(8, 2, 32, batch_first=True)
    found = multiply_adds(net, {}, torch.zeros(2, 5, 8))
    assert found.dense == 5 * (4 * 8 * 8 + 2 * 8 * 32)


def test_hugging_face_conv1d_is_a_linear() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=11, n_positions=6)
    net = transformers.GPT2LMHeadModel(config)
    mask = torch.zeros(8, 24, dtype=torch.bool)
    mask[0] = True
    found = multiply_adds_by_tensor(net, {"transformer.h.0.attn.c_attn.weight": mask}, torch.zeros(3, 6).long())
    assert found["transformer.h.0.attn.c_attn.weight"] == Cost(24 * 6, 192 * 6)
    # The head's weight is the embedding's: it is counted where it multiplies, under its one name.
    assert found["transformer.wte.weight"] == Cost(88 * 6, 88 * 6)
    assert sum(each.dense for each in found.values()) == 6 * (12 * 64 + 88)


def test_a_layer_used_twice_counts_twice_and_the_module_is_left_as_it_was() -> None:
    layer = nn.Linear(4, 4)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert multiply_adds(net, {"0.weight": torch.eye(4).bool()}, torch.zeros(1, 4)) == Cost(8, 32)
    assert net.training
    assert all(not each._forward_hooks for each in net.modules())


def test_what_cannot_be_counted_is_named() -> None:
    net = nn.Sequential(nn.LSTM(3, 2))
    with pytest.raises(ValueError, match=r"uses of 0\.weight_ih_l0 cannot be counted"):
        multiply_adds(net, {"0.weight_ih_l0": torch.ones(8, 3).bool()}, torch.zeros(1, 2, 3))
    linear = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="'wieght'.*no such parameter"):
        multiply_adds(linear, {"wieght": torch.ones(2, 2).bool()}, torch.zeros(1, 2))
    with pytest.raises(ValueError, match="at least one example"):
        multiply_adds(linear, {}, torch.zeros(0, 2))
    with pytest.raises(ValueError, match="at least one example"):
        multiply_adds(linear, {})
