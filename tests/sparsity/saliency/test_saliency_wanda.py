"""Wanda: input norms of every kind of layer, and the same share of each output."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency_nets import double, evidence_of, linear
from torch import Tensor, nn

from lth.sparsity import CRITERIA
from lth.sparsity.scope import layerwise
from lth.sparsity.select import select

wanda, wanda_raw = CRITERIA["wanda"], CRITERIA["wanda_raw"]


def test_by_hand() -> None:
    """Input norms are (5, 1): the products are [[5, 2], [10, 30]] and each row is ranked by itself."""
    evidence = evidence_of(linear([1, -2], [-2, 30]), double([3, 0], [4, 1]), torch.tensor([0, 1]))
    assert torch.allclose(wanda_raw(evidence)["weight"], double([5, 2], [10, 30]))
    assert torch.equal(wanda(evidence)["weight"], torch.tensor([[0.5, 0.0], [0.0, 0.5]]))


def test_ties_and_pruned_weights() -> None:
    """Of equal products the lower index ranks lower; a pruned weight ranks below a kept zero."""
    module = linear([1, 1, 1, 1], [0, 5, 1, 2])
    masks = {"weight": torch.tensor([[True] * 4, [True, False, True, True]])}
    evidence = evidence_of(module, double([1, 1, 1, 1]), torch.tensor([0]), masks)
    assert wanda(evidence)["weight"].tolist() == [[0, 0.25, 0.5, 0.75], [0.25, 0, 0.5, 0.75]]


@given(
    out=st.integers(1, 6),
    into=st.integers(1, 4),
    tenths=st.integers(0, 10),
    first=st.integers(0, 10),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_the_same_share_of_every_output(out: int, into: int, tenths: int, first: int, seed: int) -> None:
    """In two levels too, and whatever the scope."""
    generator = torch.Generator().manual_seed(seed)
    module = linear(*torch.randn(out, 10 * into, generator=generator).tolist())
    inputs = torch.randn(5, 10 * into, generator=generator, dtype=torch.float64)
    labels = torch.zeros(5, dtype=torch.int64)
    masks = {}
    for sparsity in sorted([tenths / 10, first / 10]):
        masks = select(wanda(evidence_of(module, inputs, labels, masks)), masks, density=1 - sparsity, scope=layerwise)
        assert (~masks["weight"]).sum(1).tolist() == [round(sparsity * 10 * into)] * out


def test_a_convolution_counts_the_pixels_under_each_kernel_entry() -> None:
    convolution = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.Flatten()).double()
    inputs = torch.randn(3, 4, 5, 5, dtype=torch.float64)
    scores = wanda_raw(evidence_of(convolution, inputs, torch.arange(3)))["0.weight"]
    weight = convolution[0].weight.detach()
    for group in range(2):
        patches = F.unfold(inputs[:, 2 * group : 2 * group + 2], 3, stride=2, padding=1)  # (batch, 2 * 9, position)
        norms = patches.square().sum((0, 2)).sqrt()
        rows = slice(3 * group, 3 * group + 3)
        assert torch.allclose(scores[rows].flatten(1), weight[rows].flatten(1).abs() * norms)


def test_attention_projections_count_their_own_inputs() -> None:
    class Cross(nn.Module):
        """Attention whose query, key and value differ."""

        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, inputs: Tensor) -> Tensor:  # (batch, 3, 5, 4)
            return self.attention(*inputs.unbind(1), need_weights=False)[0].mean(1)

    module = Cross().double()
    nn.init.normal_(module.attention.in_proj_bias)
    inputs = torch.randn(3, 3, 5, 4, dtype=torch.float64)
    evidence = evidence_of(module, inputs, torch.arange(3))
    scores = wanda_raw(evidence)
    weight, bias = module.attention.in_proj_weight.detach(), module.attention.in_proj_bias.detach()
    norms = inputs.square().sum((0, 2)).sqrt()  # (query or key or value, channel)
    assert torch.allclose(scores["attention.in_proj_weight"], weight.abs() * norms.repeat_interleave(4, dim=0))
    query, key, value = (
        F.linear(inputs[:, which], weight[4 * which : 4 * which + 4], bias[4 * which : 4 * which + 4])
        .unflatten(2, (2, 2))
        .transpose(1, 2)
        for which in range(3)
    )
    mixed = ((query @ key.transpose(2, 3) / 2**0.5).softmax(3) @ value).transpose(1, 2).flatten(2)
    expected = module.attention.out_proj.weight.detach().abs() * mixed.square().sum((0, 1)).sqrt()
    assert torch.allclose(scores["attention.out_proj.weight"], expected)
    assert wanda(evidence)["attention.in_proj_weight"].sort(1).values.tolist() == 12 * [[0, 0.25, 0.5, 0.75]]


class Stored(nn.Module):
    """A matrix stored [in, out], used in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.layer = nn.Linear(2, 4, bias=False)  # its weight is (4, 2), read here as 4 inputs and 2 outputs

    def forward(self, inputs: Tensor) -> Tensor:
        weight = self.layer.weight
        ways = {"matmul": lambda: inputs @ weight, "mm": lambda: torch.mm(inputs, weight)}
        return ways.get(self.way, lambda: F.linear(inputs, weight.t()))()


@pytest.mark.parametrize("way", ["matmul", "mm", "transposed"])
def test_rows_are_outputs_however_the_weight_is_stored(way: str) -> None:
    module, inputs = Stored(way).double(), torch.randn(6, 4, dtype=torch.float64)
    evidence = evidence_of(module, inputs, torch.arange(6) % 2)
    raw = wanda_raw(evidence)["layer.weight"]
    assert torch.allclose(raw, module.layer.weight.abs() * inputs.norm(dim=0)[:, None])
    assert wanda(evidence)["layer.weight"].sort(0).values.tolist() == [[share, share] for share in (0, 0.25, 0.5, 0.75)]


def test_hugging_face_conv1d() -> None:
    pytorch_utils = pytest.importorskip("transformers.pytorch_utils", reason="transformers is not installed")
    module, inputs = pytorch_utils.Conv1D(2, 4).double(), torch.randn(6, 4, dtype=torch.float64)
    evidence = evidence_of(module, inputs, torch.arange(6) % 2)
    assert torch.allclose(wanda_raw(evidence)["weight"], module.weight.abs() * inputs.norm(dim=0)[:, None])
    assert wanda(evidence)["weight"].sort(0).values.tolist() == [[share, share] for share in (0, 0.25, 0.5, 0.75)]
