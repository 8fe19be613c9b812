"""Which units go, and where their constants end up: by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from compact_networks import Bare, OwnAttention, Words, mlp, network
from torch import Tensor, nn

from lth.models import LeNet300100
from lth.sparsity import Masks, prunable, select
from lth.sparsity.compact import CompactAttention, SelectInputs, compact


def whole_but(module: nn.Module, **rows: list[int]) -> Masks:
    """Masks that take these outputs away, by the name of the layer with _ for dots."""
    masks: Masks = {}
    for name, gone in rows.items():
        path = f"{name.replace('_', '.')}.weight"
        masks[path] = torch.ones_like(module.get_parameter(path), dtype=torch.bool)
        masks[path][gone] = False
    return masks


def test_a_constant_unit_goes_into_the_next_bias() -> None:
    module = mlp(nn.Tanh)
    masks = whole_but(module, **{"0": [1, 4]})
    found = compact(module, masks, (6,))
    assert found.cut.kept == {
        "0.weight": {0: [0, 2, 3, 5, 6, 7, 8, 9]}, "0.bias": {0: [0, 2, 3, 5, 6, 7, 8, 9]},
        "2.weight": {1: [0, 2, 3, 5, 6, 7, 8, 9]},
    }  # fmt: skip
    bias, weight, constant = module[2].bias, module[2].weight, module[0].bias
    for row in range(8):
        moved = sum(weight[row, unit].item() * math.tanh(constant[unit].item()) for unit in (1, 4))
        assert found.module[2].bias[row].item() == pytest.approx(bias[row].item() + moved, abs=1e-6)
    assert [(layer.in_features, layer.out_features) for layer in found.module[::2]] == [(6, 8), (8, 8), (8, 3)]


def test_only_units_on_a_way_from_input_to_output_stay() -> None:
    module = LeNet300100()
    weights = {name: module.get_parameter(name).detach() for name in prunable(module)}
    masks = select(weights, {}, density=0.005, key=torch.abs)
    first, second, third = (masks[name].double() for name in ("hidden1.weight", "hidden2.weight", "output.weight"))
    from_input1 = first.sum(1) > 0
    from_input2 = second @ from_input1.double() > 0
    to_output2 = third.sum(0) > 0
    to_output1 = to_output2.double() @ second > 0
    found = compact(module, masks, (28, 28)).module
    assert isinstance(found, LeNet300100)
    assert found.hidden1.out_features == int((from_input1 & to_output1).sum()) > 1
    assert found.hidden2.out_features == int((from_input2 & to_output2).sum()) > 1
    assert (found.hidden1.in_features, found.output.out_features) == (784, 10)


def two_convolutions(padding: int, bias: float, **options: str) -> tuple[nn.Sequential, Masks]:
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=padding, bias=False, **options))
    with torch.no_grad():
        module[0].bias.fill_(bias)
    return module, whole_but(module, **{"0": [2]})


def test_a_constant_before_zero_padding_stays() -> None:
    module, masks = two_convolutions(padding=1, bias=0.5)
    found = compact(module, masks, (1, 8, 8))
    assert found.module[0].out_channels == 4
    assert found.left_alone == {"2": "1 constant unit stays: zero padding makes them differ from place to place"}


def test_a_constant_goes_without_padding_with_zeros() -> None:
    for padding, bias, options in ((0, 0.5, {}), (1, -0.5, {}), (1, 0.5, {"padding_mode": "circular"})):
        module, masks = two_convolutions(padding, bias, **options)
        found = compact(module, masks, (1, 8, 8))
        assert (found.module[0].out_channels, found.module[2].in_channels) == (3, 3)
        assert found.left_alone == {}
        # The second convolution had no bias; it gets one only where the constant is not zero.
        assert found.cut.biases == (("2",) if bias > 0 else ())


def test_a_batch_norm_of_scale_zero_makes_constants() -> None:
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1))
    with torch.no_grad():
        module[1].bias.fill_(2.0)
    found = compact(module, {"1.weight": torch.tensor([True, False, True])}, (1, 5, 5)).module
    assert found[0].out_channels == found[1].num_features == len(found[1].running_var) == 2
    torch.testing.assert_close(found[2].bias, module[2].bias + 2 * module[2].weight[:, 1, 0, 0])


class Stream(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch, self.output = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        stream = self.stem(inputs)
        stream += torch.relu(self.branch(stream))
        return self.output(stream)  # type: ignore[no-any-return]


def test_a_residual_unit_goes_only_if_all_branches_lose_it() -> None:
    module = Stream()
    found = compact(module, whole_but(module, stem=[0, 1], branch=[1, 2]), (3,)).module
    assert found.stem.out_features == found.branch.out_features == found.output.in_features == 4
    unread = {"output.weight": torch.tensor([[True, True, False, True, True]]).expand(2, 5)}
    assert compact(module, unread, (3,)).module.stem.out_features == 5  # the branch reads it
    unread["branch.weight"] = unread["output.weight"][:1].expand(5, 5)
    assert compact(module, unread, (3,)).module.stem.out_features == 4


def test_dead_heads_go() -> None:
    module = network("bare attention", 0)
    assert isinstance(module, Bare)
    attention = module.attention
    value = torch.ones_like(attention.v_proj_weight).bool()
    value[2:4] = False  # head 1: its values are constant
    out = torch.ones_like(attention.out_proj.weight).bool()
    out[:, 6:] = False  # head 3: nothing reads it
    found = compact(module, {"attention.v_proj_weight": value, "attention.out_proj.weight": out}, (4, 3)).module
    assert isinstance(found.attention, CompactAttention)
    assert (found.attention.num_heads, found.attention.value.weight.shape) == (2, (4, 6))
    torch.testing.assert_close(
        found.attention.out.bias,
        attention.out_proj.bias + attention.out_proj.weight[:, 2:4] @ attention.in_proj_bias[18:20],
    )
    # A head that keeps one value row in use stays.
    value[2, 0] = True
    assert compact(module, {"attention.v_proj_weight": value}, (4, 3)).module.attention.num_heads == 4


class Watched(nn.Module):
    """Attention whose weights are read too, or that has a mask for each head."""

    def __init__(self, reads_weights: bool, has_masks: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 4, batch_first=True)
        self.reads_weights, self.has_masks = reads_weights, has_masks

    def forward(self, tokens: Tensor) -> Tensor:
        batch, time, _ = tokens.shape
        mask = torch.ones(4 * batch, time, time).triu(1).bool() if self.has_masks else None
        padding = torch.zeros(batch, time).bool()
        padding[0, -1] = True
        outputs, weights = self.attention(tokens, tokens, tokens, key_padding_mask=padding, attn_mask=mask)
        return outputs + weights.mean() if self.reads_weights else outputs  # type: ignore[no-any-return]


@pytest.mark.parametrize("reads_weights", [False, True])
@pytest.mark.parametrize("has_masks", [False, True])
def test_heads_stay_where_each_matters(reads_weights: bool, has_masks: bool) -> None:
    module = Watched(reads_weights, has_masks)
    mask = torch.ones(8, 8).bool()
    mask[:, 2:6] = False
    found = compact(module, {"attention.out_proj.weight": mask}, (5, 8)).module.attention
    assert isinstance(found, nn.MultiheadAttention) == (reads_weights or has_masks)
    assert found.num_heads == (4 if reads_weights or has_masks else 2)


def test_attention_of_the_users_own_loses_heads_if_it_can() -> None:
    mask = torch.ones(8, 8).bool()
    mask[4:6] = False
    module = OwnAttention()
    with torch.no_grad():
        module.v_proj.bias.fill_(1.0)
    found = compact(nn.Sequential(module), {"0.v_proj.weight": mask}, (5, 8))
    block = found.module[0]
    assert (block.num_heads, block.q_proj.out_features, block.out_proj.in_features) == (3, 6, 6)
    assert found.cut.attributes == {"0": {"num_heads": 3}}
    torch.testing.assert_close(block.out_proj.bias, module.out_proj.bias + module.out_proj.weight[:, 4:6].sum(1))
    mask[:4] = False
    found = compact(nn.Sequential(OwnAttention(is_honest=False)), {"0.v_proj.weight": mask}, (5, 8))
    assert found.module[0].num_heads == 4
    assert found.left_alone["0"] == "it does not compute the same with fewer heads, so they stay"


def test_tied_weights_stay_tied_and_a_layer_may_run_twice() -> None:
    words = Words()
    mask = torch.ones(10, 6).bool()
    mask[:7] = False
    found = compact(words, {"hidden.weight": mask}, torch.randint(7, (2, 4))).module
    assert found.hidden.out_features == found.back.in_features == 3
    assert found.output.weight is found.table.weight
    layer = nn.Linear(6, 6)
    twice = nn.Sequential(nn.Linear(4, 6), layer, nn.Tanh(), layer, nn.Linear(6, 2))
    masks = whole_but(twice, **{"0": [0, 3], "1": [0, 3]})
    found = compact(twice, masks, (4,))
    assert found.module[1] is found.module[3]
    assert found.module[1].weight.shape == (6, 6)
    assert found.left_alone["1"] == "2 constant units stay: the layer runs more than once"
    masks["1.weight"][:, [0, 3]] = False
    masks["4.weight"] = torch.tensor([[False, True, True, False, True, True]]).expand(2, 6)
    assert compact(twice, masks, (4,)).module[1].weight.shape == (4, 4)


class Deciding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.layer(inputs)
        return hidden if hidden.sum() > 0 else -hidden


def test_what_decides_by_values_is_named() -> None:
    module = nn.Sequential(nn.Linear(2, 3), Deciding(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(ValueError, match="1 decides by the values of its activations.*cannot be made smaller"):
        compact(module, whole_but(module, **{"2": [0]}), (2,))


class FixedView(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.output = nn.Conv2d(1, 4, 3), nn.Linear(4 * 9, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.output(self.convolution(images).view(-1, 36))  # type: ignore[no-any-return]


def test_what_is_not_followed_stays() -> None:
    module: nn.Module = FixedView()
    found = compact(module, whole_but(module, convolution=[1]), (1, 5, 5))
    assert found.module.convolution.out_channels == 4
    assert found.left_alone == {"the network": "1 constant unit stays: view is not followed here"}
    normed = nn.Sequential(nn.Linear(3, 6), nn.GroupNorm(2, 6), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    found = compact(normed, whole_but(normed, **{"0": [1], "2": [1]}), (3,))
    assert [layer.out_features for layer in found.module[::2]] == [6, 3, 2]
    assert found.left_alone == {"1": "1 constant unit stays: group_norm is not followed here"}


def test_inputs_that_nobody_reads() -> None:
    module = mlp(nn.ReLU)
    mask = torch.ones(10, 6).bool()
    mask[:, [0, 5]] = False
    assert compact(module, {"0.weight": mask}, (6,)).module[0].in_features == 6
    found = compact(module, {"0.weight": mask}, (6,), drop_inputs=True).module[0]
    assert isinstance(found, SelectInputs)
    assert (found.selected.tolist(), tuple(found.weight.shape)) == ([1, 2, 3, 4], (10, 4))


def test_masks_that_do_not_fit_and_networks_without_tensors() -> None:
    with pytest.raises(ValueError, match="'3.weight'.*no such parameter"):
        compact(mlp(nn.ReLU), {"3.weight": torch.ones(1, 1).bool()}, (6,))
    with pytest.raises(ValueError, match=r"has shape \(1, 1\), the module has: \(10, 6\)"):
        compact(mlp(nn.ReLU), {"0.weight": torch.ones(1, 1).bool()}, (6,))


class Measured(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = F.relu(self.first(inputs))
        return self.second(hidden) / hidden.shape[-1]  # type: ignore[no-any-return]


def test_a_network_that_depends_on_its_sizes_is_refused() -> None:
    module = Measured()
    with pytest.raises(ValueError, match="differs by .* from the masked one. Some module uses sizes"):
        compact(module, whole_but(module, first=[0, 1, 2]), (3,))
