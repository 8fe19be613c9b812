"""Layer-wise relevance propagation: by hand, against loops, and its conservation laws."""

from functools import partial
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency_nets import double, evidence_of, linear, network
from torch import Tensor, nn
from torch.func import functional_call

from lth.sparsity import CRITERIA
from lth.sparsity.saliency.products import Following
from lth.sparsity.saliency.relevance import EPSILON, epsilon_rule, z_plus_rule


def test_epsilon_by_hand() -> None:
    """z = (-1, 4); only the row of the label's logit carries relevance."""
    evidence = evidence_of(linear([1, -1], [2, 1]), double([1, 2]), torch.tensor([1]))
    factor = 4 / (4 + EPSILON)
    assert torch.allclose(CRITERIA["lrp_epsilon"](evidence)["weight"], double([0, 0], [2 * factor, 2 * factor]))
    evidence = evidence_of(linear([1, -1], [2, 1]), double([1, 2]), torch.tensor([0]))
    factor = 1 / (1 + EPSILON)
    assert torch.allclose(CRITERIA["lrp_epsilon"](evidence)["weight"], double([factor, 2 * factor], [0, 0]))


def test_z_plus_by_hand() -> None:
    """Hidden (3 - 1, 3 + 1) = (2, 4); the logit 6 is shared as (2, 4); the first 2 come from the input 3 alone."""
    module = nn.Sequential(linear([1, -1], [1, 1]), nn.ReLU(), linear([1, 1], [1, -1]))
    scores = CRITERIA["lrp_z_plus"](evidence_of(module, double([3, 1]), torch.tensor([0])))
    assert torch.allclose(scores["2.weight"], double([2, 4], [0, 0]))
    assert torch.allclose(scores["0.weight"], double([2, 0], [3, 1]))


def test_z_plus_with_negative_inputs_biases_and_no_support() -> None:
    """(-2)(-3) supports; a positive bias takes its share; an output without support passes nothing on."""
    layer = nn.Linear(2, 2).double()
    layer.weight.data, layer.bias.data = double([-3, 1], [1, -1]), double(4, -5)
    scores = CRITERIA["lrp_z_plus"](evidence_of(layer, double([-2, -1]), torch.tensor([0])))
    logit = 6 - 1 + 4
    assert torch.allclose(scores["weight"], double([6 / (6 + 4) * logit, 0], [0, 0]))
    layer.weight.data[1] = double(1, 1)
    scores = CRITERIA["lrp_z_plus"](evidence_of(layer, double([-2, -1]), torch.tensor([1])))
    assert torch.equal(scores["weight"], torch.zeros(2, 2, dtype=torch.float64))


@given(widths=st.lists(st.integers(1, 7), min_size=2, max_size=4), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_each_layer_receives_the_starting_relevance(widths: list[int], seed: int) -> None:
    """Positive weights and inputs, no biases: magnitudes are the messages; both rules agree but for epsilon."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [*widths, 3]
    layers = [linear(*(torch.rand(out, into, generator=generator) + 1).tolist()) for into, out in pairwise(sizes)]
    module = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
    inputs, labels = torch.rand(4, sizes[0], generator=generator).double() + 1, torch.tensor([0, 1, 2, 0])
    start = module(inputs).gather(1, labels[:, None]).sum().detach()
    evidence = evidence_of(module, inputs, labels)
    for score in CRITERIA["lrp_z_plus"](evidence).values():
        assert torch.allclose(score.sum(), start, rtol=1e-10)
    for score in CRITERIA["lrp_epsilon"](evidence).values():
        assert torch.allclose(score.sum(), start, rtol=EPSILON * len(layers))


@pytest.mark.parametrize("rule", [partial(epsilon_rule, epsilon=1e-12), z_plus_rule])
def test_signed_relevance_reaches_the_inputs(rule: object) -> None:
    """Through convolutions, groups, ReLU, a residual sum, pooling and a batch norm with positive gains and no shift."""
    module, inputs, labels = network("convolutions")
    module.eval()
    module.first[1].running_mean.zero_()
    module.first[1].weight.data.abs_()
    state = {name: value.detach() for name, value in module.state_dict().items()}
    inputs.requires_grad_()
    with Following(rule, state):  # type: ignore[arg-type]
        logits = functional_call(module, state, (inputs,))
    start = logits.gather(1, labels[:, None])
    (relevance,) = torch.autograd.grad(start.sum(), inputs)
    assert torch.allclose((relevance * inputs).flatten(1).sum(1), start[:, 0], rtol=1e-6)


@pytest.mark.parametrize("criterion", ["lrp_epsilon", "lrp_z_plus"])
def test_a_convolution_is_a_linear_layer_over_its_patches(criterion: str) -> None:
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(3, 2, 5, 5, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 1])
    convolution = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2), nn.ReLU(), nn.Flatten(2), nn.Flatten()).double()
    convolution.append(linear(*torch.randn(2, 16, generator=generator).tolist()))

    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(18, 4).double()
            self.first.weight.data = convolution[0].weight.data.flatten(1)
            self.first.bias.data = convolution[0].bias.data
            self.last = convolution[-1]

        def forward(self, inputs: Tensor) -> Tensor:
            patches = F.unfold(inputs, 3, stride=2).transpose(1, 2)  # (batch, position, 18)
            return self.last(torch.relu(self.first(patches)).transpose(1, 2).flatten(1))

    ours = CRITERIA[criterion](evidence_of(convolution, inputs, labels))
    theirs = CRITERIA[criterion](evidence_of(Patches(), inputs, labels))
    assert torch.allclose(ours["0.weight"].flatten(1), theirs["first.weight"], rtol=1e-9)
    assert torch.allclose(ours["4.weight"], theirs["last.weight"], rtol=1e-9)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_following_attention_changes_no_output(separate: bool, need_weights: bool) -> None:
    """The four products around PyTorch's attention are the attention, with its masks, biases and weights."""
    kinds = {"kdim": 3, "vdim": 5} if separate else {}
    attention = nn.MultiheadAttention(4, 2, add_bias_kv=True, batch_first=True, **kinds).double().eval()
    nn.init.normal_(attention.out_proj.bias)
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    key = torch.randn(2, 6, 3 if separate else 4, generator=generator, dtype=torch.float64)
    value = torch.randn(2, 6, 5 if separate else 4, generator=generator, dtype=torch.float64)
    options = {"need_weights": need_weights, "attn_mask": nn.Transformer.generate_square_subsequent_mask(6).double()}
    plain, plain_weights = attention(query, key, value, **options)
    parameters = dict(attention.named_parameters())
    following = Following(epsilon_rule, parameters)
    with following:
        ours, our_weights = attention(query, key, value, **options)
    assert torch.allclose(ours, plain, atol=1e-12)
    if need_weights:
        assert torch.allclose(our_weights, plain_weights, atol=1e-12)
    names = {name for name, value in parameters.items() if id(value) in following.output_axes}
    inner = {f"{which}_proj_weight" for which in "qkv"} if separate else {"in_proj_weight"}
    assert names == inner | {"out_proj.weight"}


@pytest.mark.parametrize("criterion", ["lrp_epsilon", "lrp_z_plus", "wanda", "wanda_raw"])
def test_a_layer_that_cannot_be_followed_is_named(criterion: str) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            return torch.einsum("bi,oi->bo", inputs, self.inner.weight)

    evidence = evidence_of(Scaled(), torch.randn(3, 2), torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match=f"{criterion!r} can follow .* 'inner.weight' is used in none. Exclude it"):
        CRITERIA[criterion](evidence)
