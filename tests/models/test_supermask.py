"""Supermasks: gradients, exact counts, weights that stay, and the engine that trains them like any module."""

import copy
import math
import pickle
from collections.abc import Callable
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from lth.config import SupermaskSettings
from lth.data import batches_of, load_data
from lth.models import ModelSpec, describe, make_model
from lth.models.lenet import LeNet300100
from lth.models.supermask import Supermask, largest, masks_of
from lth.sparsity import layerwise, select
from lth.sparsity.types import Weights
from lth.tasks import Batch

BERNOULLI, EDGE_POPUP = SupermaskSettings(), SupermaskSettings(method="edge_popup")


class ConvNet(nn.Module):
    """A convolution with batch norm, and a Linear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.output = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 10)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.output(F.relu(self.norm(self.conv(inputs.unsqueeze(1)))).mean((2, 3)))  # type: ignore[no-any-return]


class TiedNet(nn.Module):
    """Two Linears that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.first, self.second = nn.Linear(64, 10), nn.Linear(10, 10), nn.Linear(10, 10)
        self.second.weight = self.first.weight

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.second(torch.tanh(self.first(torch.tanh(self.input(inputs.flatten(1))))))  # type: ignore[no-any-return]


class AttentionNet(nn.Module):
    """Rows of an image attend to one another."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.output = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 10)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.output(self.attention(inputs, inputs, inputs)[0].mean(1))  # type: ignore[no-any-return]


def small_net() -> nn.Module:
    """64-12-10, ReLU."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))


def drawn(make: Callable[[], nn.Module], how: SupermaskSettings, seed: int = 0) -> Supermask:
    """A supermask in float64, drawn under a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Supermask(make(), how).double()


def one_linear(how: SupermaskSettings, seed: int = 0) -> tuple[Supermask, nn.Parameter, Tensor]:
    """A Linear of 5 to 4 units without bias, with scores of both signs; its score and its weight."""
    module = drawn(lambda: nn.Linear(5, 4, bias=False), how, seed)
    score = module.scores.get_parameter("weight")
    with torch.no_grad():
        score.copy_(torch.randn(score.shape, generator=torch.Generator().manual_seed(seed + 1), dtype=score.dtype))
    return module, score, module.network.get_buffer("weight")


def gradient_at_mask(module: Supermask, score: nn.Parameter, generator_seed: int = 3) -> tuple[Tensor, Tensor]:
    """The score's gradient of a linear loss, and the gradient of that loss by the effective weight."""
    generator = torch.Generator().manual_seed(generator_seed)
    inputs = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    slopes = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    score.grad = None
    (module(inputs) * slopes).sum().backward()
    assert score.grad is not None
    return score.grad, slopes.T @ inputs


def test_bernoulli_gradient_is_that_of_the_expected_loss() -> None:
    """Of a loss linear in the weights, the mean over masks is the loss under sigmoid(score), whatever is drawn."""
    module, score, weight = one_linear(BERNOULLI)
    found, by_weight = gradient_at_mask(module, score)
    probability = torch.sigmoid(score.detach())
    torch.testing.assert_close(found, probability * (1 - probability) * weight * by_weight)

    def expected_loss(value: Tensor) -> Tensor:
        return (torch.sigmoid(value) * weight * by_weight).sum()

    step = 1e-6
    for index in range(score.numel()):
        shift = torch.zeros(score.numel(), dtype=torch.float64)
        shift[index] = step
        shift = shift.view(score.shape)
        difference = (expected_loss(score.detach() + shift) - expected_loss(score.detach() - shift)) / (2 * step)
        assert found.view(-1)[index].item() == pytest.approx(difference.item(), rel=1e-6, abs=1e-8)


def test_dynamic_rescaling_and_the_gradient_through_it() -> None:
    module, score, weight = one_linear(SupermaskSettings(rescale=True))
    torch.manual_seed(5)
    found, by_weight = gradient_at_mask(module, score)
    probability = torch.sigmoid(score.detach())
    torch.manual_seed(5)
    mask = (torch.rand_like(probability) < probability).double()
    total, kept = mask.numel(), mask.sum()
    assert 0 < kept < total
    by_mask = total / kept * (weight * by_weight - (weight * mask * by_weight).sum() / kept)
    torch.testing.assert_close(found, by_mask * probability * (1 - probability))
    torch.manual_seed(5)
    torch.testing.assert_close(module(torch.eye(5, dtype=torch.float64)).T, weight * mask * total / kept)


@pytest.mark.parametrize(("rescale", "factor"), [(False, 1.0), (True, 0.3**-0.5)])
def test_edge_popup_gradient_and_output(rescale: bool, factor: float) -> None:
    module, score, weight = one_linear(SupermaskSettings(method="edge_popup", density=0.3, rescale=rescale))
    found, by_weight = gradient_at_mask(module, score)
    torch.testing.assert_close(found, factor * score.detach().sign() * weight * by_weight)
    order = score.detach().abs().view(-1).argsort(descending=True)
    mask = torch.zeros(20, dtype=torch.bool).index_fill(0, order[:6], True).view(4, 5)
    assert torch.equal(module.thresholded()["weight"], mask)
    torch.testing.assert_close(module(torch.eye(5, dtype=torch.float64)).T, factor * weight * mask)


@given(
    values=st.lists(st.integers(0, 4), min_size=2, max_size=24).filter(lambda values: len(values) % 2 == 0),
    share=st.floats(0, 1),
)
@settings(deadline=None, max_examples=60)
def test_largest_is_select_under_ties(values: list[int], share: float) -> None:
    scores = torch.tensor(values, dtype=torch.float32).view(2, -1)
    keep = 1 + int(share * (scores.numel() - 1))
    expected = select({"w": scores}, {}, density=keep / scores.numel(), scope=layerwise)["w"]
    assert torch.equal(largest(scores, keep), expected)
    stacked = torch.stack([scores, scores.flip(0)])
    together = torch.vmap(lambda each: largest(each, keep))(stacked)
    assert torch.equal(together, torch.stack([largest(each, keep) for each in stacked]))


def test_sampled_masks_approach_their_probabilities() -> None:
    module, score, weight = one_linear(BERNOULLI)
    probability, draws = torch.sigmoid(score.detach()), 4000
    generator = torch.Generator().manual_seed(0)
    by_generator = sum(module.sampled(generator)["weight"].double() for _ in range(draws)) / draws
    torch.manual_seed(0)
    with torch.no_grad():
        outputs = sum(module(torch.eye(5, dtype=torch.float64)).T for _ in range(draws)) / draws
    for mean in (by_generator, outputs / weight):
        assert ((mean - probability).abs() < 5 * (probability * (1 - probability) / draws).sqrt()).all()
    again = module.sampled(torch.Generator().manual_seed(1))
    assert torch.equal(again["weight"], module.sampled(torch.Generator().manual_seed(1))["weight"])


@pytest.mark.parametrize("how", [BERNOULLI, EDGE_POPUP], ids=lambda how: how.method)
@pytest.mark.parametrize("make", [small_net, ConvNet, TiedNet, AttentionNet])
def test_any_module_can_be_masked(make: Callable[[], nn.Module], how: SupermaskSettings) -> None:
    module, inputs = drawn(make, how).eval(), torch.rand(3, 8, 8, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = make().double().eval()
    names = dict(plain.named_parameters())
    assert {name.removeprefix("scores.") for name, _ in module.named_parameters()} == set(module.names) < set(names)
    whole = {name: torch.ones_like(value, dtype=torch.bool) for name, value in names.items()}
    torch.testing.assert_close(module.under(whole, inputs), plain(inputs))
    masks = module.sampled(torch.Generator().manual_seed(0)) if how is BERNOULLI else module.thresholded()
    with torch.no_grad():
        for name, mask in masks.items():
            names[name].mul_(mask)  # a tied weight is masked wherever it stands
    torch.testing.assert_close(module.under(masks, inputs), plain(inputs))


@pytest.mark.parametrize("how", [BERNOULLI, EDGE_POPUP], ids=lambda how: how.method)
def test_evaluation_is_thresholded_and_draws_nothing(how: SupermaskSettings) -> None:
    module, inputs = drawn(small_net, how), torch.rand(7, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        for score in module.scores.parameters():
            score.normal_()
    module.eval()
    before = torch.get_rng_state()
    outputs = module(inputs)
    assert torch.equal(outputs, module(inputs))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(outputs, module.under(module.thresholded(), inputs))
    found = masks_of(module.state_dict(), how)
    assert found.keys() == {"1.weight", "3.weight"}
    for name, mask in module.thresholded().items():
        assert torch.equal(found[name], mask)
        if how is BERNOULLI:
            assert torch.equal(mask, torch.sigmoid(module.scores.get_parameter(name)) > 0.5)
        else:
            assert int(mask.sum()) == mask.numel() // 2


def test_signed_constants_and_first_scores() -> None:
    torch.manual_seed(2)
    plain = nn.Linear(30, 20)
    module = Supermask(copy.deepcopy(plain), SupermaskSettings(weights="signed_constant", density=0.2))
    expected = plain.weight.sign() * plain.weight.std(unbiased=False)
    torch.testing.assert_close(module.network.get_buffer("weight"), expected.detach())
    assert torch.equal(module.network.get_buffer("bias"), plain.bias)
    score = module.scores.get_parameter("weight")
    torch.testing.assert_close(torch.sigmoid(score), torch.full_like(score, 0.2))
    fixed = Supermask(copy.deepcopy(plain), SupermaskSettings(initial_score=-1.5)).scores.get_parameter("weight")
    assert (fixed == -1.5).all()
    torch.manual_seed(3)
    drawn_score = Supermask(copy.deepcopy(plain), EDGE_POPUP).scores.get_parameter("weight")
    torch.manual_seed(3)
    assert torch.equal(drawn_score, nn.init.kaiming_uniform_(torch.empty(20, 30), a=math.sqrt(5)))


def test_it_can_be_pickled_and_copied() -> None:
    module, inputs = drawn(TiedNet, EDGE_POPUP), torch.rand(2, 8, 8, dtype=torch.float64)
    for other in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        assert torch.equal(other(inputs), module(inputs))
        assert other.state_dict().keys() == module.state_dict().keys()


@cache
def digits() -> tuple[Batch, Batch]:
    """The digits in float64: training and test part."""
    parts = load_data("digits").parts
    batches = [next(batches_of(parts[part], len(parts[part]))) for part in ("train", "test")]
    return tuple({"x": batch["x"].double(), "y": batch["y"]} for batch in batches)  # type: ignore[return-value]


def trained(
    make: Callable[[], nn.Module], how: SupermaskSettings, seeds: list[int], steps: int = 10, lr: float = 0.05
) -> tuple[list[Weights], list[Weights]]:
    """States before and after a training in float64, of several networks as one stack."""
    modules = [drawn(make, how, seed) for seed in seeds]
    starts = [{name: value.clone() for name, value in module.state_dict().items()} for module in modules]
    parameters, buffers = stack_module_state(modules)
    optimizer = torch.optim.AdamW(parameters.values(), lr=lr, weight_decay=0.1)

    def loss(parameters: Weights, buffers: Weights, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(modules[0], (parameters, buffers), (images,)), labels)

    together = vmap(loss, in_dims=(0, 0, None, None), randomness="different")
    torch.manual_seed(seeds[0])
    for step in range(steps):
        rows = torch.arange(20 * step, 20 * step + 20) % len(digits()[0]["y"])
        optimizer.zero_grad()
        together(parameters, buffers, digits()[0]["x"][rows], digits()[0]["y"][rows]).sum().backward()
        optimizer.step()
    states = parameters | buffers
    return starts, [{name: value[row].detach() for name, value in states.items()} for row in range(len(seeds))]


@pytest.mark.parametrize("how", [BERNOULLI, EDGE_POPUP], ids=lambda how: how.method)
@pytest.mark.parametrize("seeds", [[1], [1, 2]], ids=["alone", "stacked"])
def test_weights_stay_as_they_were_drawn(how: SupermaskSettings, seeds: list[int]) -> None:
    starts, ends = trained(ConvNet, how, seeds)
    names = [f"network.{name}" for name, _ in ConvNet().named_parameters()]
    for start, end in zip(starts, ends, strict=True):
        for name in names:
            assert torch.equal(start[name].view(torch.int64), end[name].view(torch.int64))
        for name in ("scores.conv.weight", "scores.output.weight"):
            assert (start[name] != end[name]).all()
        assert (start["network.norm.running_mean"] != end["network.norm.running_mean"]).all()


@pytest.mark.parametrize("make", [small_net, ConvNet, TiedNet])
def test_a_stack_of_edge_popup_is_each_alone(make: Callable[[], nn.Module]) -> None:
    how = SupermaskSettings(method="edge_popup", density=0.4, rescale=True)
    _, together = trained(make, how, [1, 2, 3], lr=0.01)
    for seed, end in zip([1, 2, 3], together, strict=True):
        _, (alone,) = trained(make, how, [seed], lr=0.01)
        assert end.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(end[name], value, rtol=1e-9, atol=1e-10)
        masks = masks_of(alone, how)
        assert all(torch.equal(mask, masks[name]) for name, mask in masks_of(end, how).items())


def test_training_masks_learns() -> None:
    _, (end,) = trained(lambda: LeNet300100((8, 8)), BERNOULLI, [1], steps=100, lr=0.1)
    module = drawn(lambda: LeNet300100((8, 8)), BERNOULLI, 1).eval()
    module.load_state_dict(end)
    test = digits()[1]
    assert (module(test["x"]).argmax(1) == test["y"]).double().mean() > 0.6


def test_the_same_seed_gives_the_same_training() -> None:
    first, again = (trained(small_net, BERNOULLI, [4])[1][0] for _ in range(2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_a_spec_with_masks_has_the_weights_of_the_plain_one() -> None:
    plain = describe("lenet-300-100", LeNet300100, {"input_shape": (8, 8), "num_classes": 10})
    spec = plain.model_copy(update={"supermask": SupermaskSettings(method="edge_popup")})
    weights, module = make_model(plain, LeNet300100, 3).state_dict(), make_model(spec, LeNet300100, 3)
    assert isinstance(module, Supermask)
    assert all(torch.equal(value, module.network.state_dict()[name]) for name, value in weights.items())
    again, other = (make_model(spec, LeNet300100, seed).state_dict()["scores.output.weight"] for seed in (3, 4))
    assert torch.equal(again, module.state_dict()["scores.output.weight"])
    assert not torch.equal(other, again)
    with pytest.raises(ValueError, match="no longer has the structure"):
        make_model(spec, lambda input_shape, num_classes: LeNet300100(input_shape, 11), 0)


def test_only_masks_change_the_record() -> None:
    plain = ModelSpec(name="lenet-300-100")
    assert "supermask" not in plain.model_dump(exclude_defaults=True)
    specs = [plain, *(plain.model_copy(update={"supermask": how}) for how in (BERNOULLI, EDGE_POPUP))]
    assert len({spec.model_dump_json(exclude_defaults=True) for spec in specs}) == 3
    assert ModelSpec.model_validate(specs[1].model_dump(mode="json", exclude_defaults=True)) == specs[1]


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"density 0\.01 keeps none of the 12 weights of weight"):
        Supermask(nn.Linear(4, 3), SupermaskSettings(method="edge_popup", density=0.01))
    with pytest.raises(ValueError, match="draws no masks"):
        Supermask(nn.Linear(4, 3), EDGE_POPUP).sampled(torch.Generator())
    with pytest.raises(ValueError, match="no prunable weights"):
        Supermask(nn.ReLU(), BERNOULLI)
    with pytest.warns(UserWarning, match=r"masks do not reach 0\.weight_ih_l0, 0\.weight_hh_l0: these stay dense"):
        assert Supermask(nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 2)), BERNOULLI).names == ("1.weight",)
    with pytest.raises(ValueError, match="weight_ih_l0 belongs to a LSTM"):
        Supermask(nn.Sequential(nn.LSTM(3, 4)), BERNOULLI)
    with pytest.raises(ValueError, match=r"holds no scores .*only weight, bias"):
        masks_of(nn.Linear(4, 3).state_dict(), BERNOULLI)
    with pytest.raises(ValueError, match="edge_popup draws its first scores"):
        SupermaskSettings(method="edge_popup", initial_score=0.0)
