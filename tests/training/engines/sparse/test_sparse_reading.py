"""Which modules are read as perceptrons, which are refused and why; and what was read is what they compute."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sparse_trainings import made_up, train_one
from torch import Tensor, nn
from trainings import ConvNet, TiedEmbedding, TiedNet, classification, lenet, short_training, x_and_y

from lth.config import SupermaskSettings
from lth.models import LeNet300100
from lth.models.conv_frankle import FrankleConv
from lth.models.supermask import Supermask
from lth.training import Member, Seeds
from lth.training.engines.sparse import Chain, Convolution, Layer, NotAChain, read_chain


class Chained(nn.Module):
    """Steps one after the other: modules, or functions of (this module, a tensor)."""

    def __init__(self, *steps: Any) -> None:
        super().__init__()
        self.steps = steps
        for index, step in enumerate(steps):
            if isinstance(step, nn.Module):
                self.add_module(f"step{index}", step)

    def forward(self, inputs: Tensor) -> Tensor:
        for step in self.steps:
            inputs = step(inputs) if isinstance(step, nn.Module) else step(self, inputs)
        return inputs


def test_lenet() -> None:
    wanted = [
        Layer("hidden1.weight", "hidden1.bias", "relu"),
        Layer("hidden2.weight", "hidden2.bias", "relu"),
        Layer("output.weight", "output.bias"),
    ]
    assert read_chain(LeNet300100()).layers == wanted
    assert read_chain(LeNet300100().eval()).layers == wanted


def test_modules() -> None:
    module = nn.Sequential(
        nn.Flatten(), nn.Identity(), nn.Linear(6, 5, bias=False), nn.Tanh(), nn.Dropout(0.25),
        nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.0)), nn.Linear(4, 3), nn.ReLU(), nn.Identity(),
    )  # fmt: skip
    assert read_chain(module).layers == [
        Layer("2.weight", None, "tanh", 0.25),
        Layer("5.0.weight", "5.0.bias"),
        Layer("6.weight", "6.bias", "relu"),
    ]


def test_functions() -> None:
    module = Chained(
        lambda _, x: torch.flatten(x, 1),
        nn.Linear(6, 5),
        lambda _, x: F.relu(x, inplace=True),
        lambda own, x: F.dropout(x, 0.4, training=own.training),
        nn.Linear(5, 4),
        lambda _, x: torch.tanh(x),
        lambda own, x: torch.dropout(x, 0.1, own.training),
        lambda _, x: x.contiguous(),
        nn.Linear(4, 3),
    )
    wanted = [
        Layer("step1.weight", "step1.bias", "relu", 0.4),
        Layer("step4.weight", "step4.bias", "tanh", 0.1),
        Layer("step8.weight", "step8.bias"),
    ]
    assert read_chain(module).layers == wanted
    assert read_chain(module.eval()).layers == wanted  # as it is trained
    assert not module.training


def test_convolutions() -> None:
    names = [f"convolutions.{number}" for number in range(4)]
    convolutions = [
        Convolution(f"{name}.weight", f"{name}.bias", has_relu=True, is_pooled=bool(number % 2))
        for number, name in enumerate(names)
    ]
    layers = [
        Layer("hidden1.weight", "hidden1.bias", "relu", 0.5),
        Layer("hidden2.weight", "hidden2.bias", "relu", 0.5),
        Layer("output.weight", "output.bias"),
    ]
    assert read_chain(FrankleConv(depth=4, dropout=0.5)) == Chain(layers, convolutions, makes_images=True)
    module = Chained(
        nn.Conv2d(3, 4, (3, 3), padding="same", bias=False),
        nn.ReLU(),
        lambda _, x: F.max_pool2d(x, (2, 2), stride=2),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    wanted = Chain([Layer("step4.weight", "step4.bias")], [Convolution("step0.weight", None, True, True)])
    assert read_chain(module) == wanted


def two_ways(_: nn.Module, x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def frozen() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    module[1].weight.requires_grad_(False)
    return module


def with_a_buffer() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 2))
    module.register_buffer("mean", torch.zeros(3))
    return module


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.two(self.one(inputs) + inputs)


class Skipping(Residual):
    """Its second layer reads the inputs, not what the first made of them."""

    def forward(self, inputs: Tensor) -> Tensor:
        self.one(inputs)
        return self.two(inputs)


class TwoInputs(Residual):
    def forward(self, inputs: Tensor, others: Tensor) -> Tensor:
        return self.two(self.one(inputs))


class Unused(Residual):
    def forward(self, inputs: Tensor) -> Tensor:
        return self.one(inputs)


def hooked() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 4))
    net[0].register_forward_hook(lambda _module, _inputs, output: 2 * output)
    return net


class OnlyInTraining(Residual):
    """A ReLU that evaluation does without."""

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.one(inputs)
        return self.two(F.relu(hidden) if self.training else hidden)


LINEAR: Callable[[], nn.Module] = lambda: nn.Linear(4, 4)  # noqa: E731
CONVOLUTION: Callable[[], nn.Module] = lambda: nn.Conv2d(2, 2, 3, padding=1)  # noqa: E731


def convolved(*after: nn.Module, **settings: Any) -> nn.Module:
    """A convolution of these settings, ReLU, and these steps before a linear layer."""
    convolution = nn.Conv2d(2, 2, **{"kernel_size": 3, "padding": 1, **settings})
    return nn.Sequential(convolution, nn.ReLU(), *after, nn.Flatten(), LINEAR())


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "padding": (lambda: convolved(padding=0), r"0 is a Conv2d with padding \(0, 0\); computed is \(1, 1\)"),
    "stride": (lambda: convolved(stride=2), r"0 is a Conv2d with stride \(2, 2\)"),
    "filter": (lambda: convolved(kernel_size=5), r"0 is a Conv2d with kernel_size \(5, 5\); computed is \(3, 3\)"),
    "groups": (lambda: convolved(groups=2), "0 is a Conv2d with groups 2; computed is 1"),
    "dilation": (lambda: convolved(dilation=2), r"0 is a Conv2d with dilation \(2, 2\)"),
    "reflected": (lambda: convolved(padding_mode="reflect"), "with padding_mode reflect; computed is zeros"),
    "batch norm of images": (lambda: convolved(nn.BatchNorm2d(2)), "it holds BatchNorm2d"),
    "no ReLU": (lambda: nn.Sequential(CONVOLUTION(), nn.Flatten(), LINEAR()), "convolution without ReLU"),
    "no ReLU between": (lambda: nn.Sequential(CONVOLUTION(), CONVOLUTION()), "convolution without ReLU"),
    "another activation of images": (lambda: nn.Sequential(CONVOLUTION(), nn.Tanh()), "does not follow a linear"),
    "two ReLUs of images": (lambda: convolved(nn.ReLU()), "does not follow a linear layer or a convolution"),
    "pooling of 3": (lambda: convolved(nn.MaxPool2d(3)), "is a max_pool2d with kernel_size 3; computed is 2"),
    "overlapping pooling": (lambda: convolved(nn.MaxPool2d(2, 1)), "with stride 1; computed is 2"),
    "two poolings": (lambda: convolved(nn.MaxPool2d(2), nn.MaxPool2d(2)), "does not follow a convolution and its ReLU"),
    "pooling first": (lambda: nn.Sequential(nn.MaxPool2d(2), CONVOLUTION()), "does not follow a convolution"),
    "mean pooling": (lambda: convolved(nn.AvgPool2d(2)), "it holds AvgPool2d"),
    "dropped channels": (lambda: convolved(nn.Dropout(0.1)), "drops outputs of a convolution"),
    "not flattened": (lambda: nn.Sequential(CONVOLUTION(), nn.ReLU(), LINEAR()), "images that are not flattened"),
    "convolution later": (lambda: nn.Sequential(nn.Flatten(), CONVOLUTION()), "it holds Conv2d, .* not in this order"),
    "convolution net": (ConvNet, "it holds unsqueeze"),
    "batch norm": (lambda: nn.Sequential(LINEAR(), nn.BatchNorm1d(4), LINEAR()), "it holds BatchNorm1d"),
    "another activation": (lambda: nn.Sequential(LINEAR(), nn.GELU()), "it holds GELU"),
    "another function": (lambda: Chained(LINEAR(), lambda _, x: F.gelu(x)), "it holds gelu"),
    "tied": (TiedNet, "layers share parameters"),
    "tied embedding": (TiedEmbedding, "it holds mul"),
    "twice the same layer": (lambda: nn.Sequential(*[LINEAR()] * 2), "layers share parameters"),
    "frozen": (frozen, "1.weight is not trained"),
    "buffer": (with_a_buffer, "mean belongs to no linear layer"),
    "unused": (Unused, "two.bias, two.weight belongs to no linear layer"),
    "dropped inputs": (lambda: nn.Sequential(nn.Dropout(0.2), LINEAR()), "drops inputs of the network"),
    "dropped twice": (lambda: nn.Sequential(LINEAR(), *[nn.Dropout(0.2)] * 2), "what is dropped already"),
    "two activations": (lambda: nn.Sequential(LINEAR(), nn.ReLU(), nn.Tanh()), "does not follow a linear layer"),
    "activation first": (lambda: nn.Sequential(nn.ReLU(), LINEAR()), "does not follow a linear layer"),
    "activation after dropout": (
        lambda: nn.Sequential(LINEAR(), nn.Dropout(0.5), nn.Tanh()),
        "does not follow a linear layer",
    ),
    "residual": (Residual, "it holds add"),
    "skipping": (Skipping, "call module two is no step of a chain"),
    "two inputs": (TwoInputs, "placeholder others is no step of a chain"),
    "flatten the batch": (lambda: Chained(lambda _, x: torch.flatten(x), LINEAR()), "flattens other than the input"),
    "flatten(0)": (lambda: nn.Sequential(nn.Flatten(0), LINEAR()), "flattens other than the input"),
    "flatten a part": (lambda: nn.Sequential(nn.Flatten(1, 2), LINEAR()), "flattens other than the input"),
    "flatten later": (lambda: nn.Sequential(LINEAR(), nn.Flatten(), LINEAR()), "flattens other than the input"),
    "control flow": (lambda: Chained(two_ways, LINEAR()), "its forward does more than chain layers"),
    "supermask": (lambda: Supermask(nn.Sequential(LINEAR()), SupermaskSettings()), "it is a supermask"),
    "another network in evaluation": (OnlyInTraining, "in evaluation it differs"),
    "dropout that evaluation keeps": (lambda: Chained(LINEAR(), lambda _, x: F.dropout(x)), "in evaluation it differs"),
    "hooked": (hooked, "Linear has hooks"),
    "nothing": (nn.Identity, "is no step of a chain"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(NotAChain, match=message) as caught:
        read_chain(make())
    assert "\n" not in str(caught.value)


RELUS: list[Any] = [
    nn.ReLU, lambda: nn.ReLU(inplace=True), lambda: lambda _, x: F.relu(x), lambda: lambda _, x: torch.relu(x),
    lambda: lambda _, x: x.relu(),
]  # fmt: skip
TANHS: list[Any] = [
    nn.Tanh,
    lambda: lambda _, x: torch.tanh(x),
    lambda: lambda _, x: x.tanh(),
    lambda: lambda _, x: F.tanh(x),
]
FLATTENS: list[Any] = [
    nn.Flatten, lambda: lambda _, x: x.flatten(1), lambda: lambda _, x: torch.flatten(x, start_dim=1),
]  # fmt: skip
DROPOUTS: list[Any] = [
    lambda: nn.Dropout(0.3), lambda: lambda own, x: F.dropout(x, p=0.3, training=own.training),
]  # fmt: skip
NOTHINGS: list[Any] = [nn.Identity, lambda: lambda _, x: x.contiguous(), lambda: nn.Dropout(0.0)]


@st.composite
def chains(draw: st.DrawFn) -> nn.Module:
    """A chain of everything that is understood, for 12 inputs and 4 classes."""
    steps, width = [draw(st.sampled_from(FLATTENS))()], 12
    layers = draw(st.integers(1, 4))
    for index in range(layers):
        wider = 4 if index == layers - 1 else draw(st.integers(1, 20))
        steps.append(nn.Linear(width, wider, bias=draw(st.booleans())))
        width = wider
        for choices in (draw(st.sampled_from([RELUS, TANHS, NOTHINGS])), draw(st.sampled_from([DROPOUTS, NOTHINGS]))):
            steps.append(draw(st.sampled_from(choices))())
    return Chained(*steps)


@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(chains(), st.sampled_from(["cross_entropy", "mean_squared_error"]), st.sampled_from([0.0, 0.5, 0.9]))
def test_reading_equals_running(module: nn.Module, loss: str, zeros: float) -> None:
    """Evaluated before any step: loss and accuracy are those of the module itself, which then drops nothing."""
    parts = made_up(12, 4, zeros)
    start = {name: value.detach().clone() for name, value in module.state_dict().items()}
    one = Member("member", start, {}, Seeds(init=0, order=0, augmentation=0))
    training = short_training(batch_size=13, precision="float64", task=classification(4, minimise=loss))
    history = train_one(one, module, training, parts=parts, until=0).history
    module.double().eval().load_state_dict(start)
    with torch.no_grad():
        x, labels = x_and_y(parts["validation"])
        logits = module(x.double())
    wanted = (
        F.cross_entropy(logits, labels)
        if loss == "cross_entropy"
        else F.mse_loss(logits, F.one_hot(labels, 4).double())
    )
    assert history.curves["validation/loss"] == [pytest.approx(float(wanted), abs=1e-12)]
    if len(logits.unique()) == logits.numel():  # no ties
        assert history.curves["validation/accuracy"] == [float((logits.argmax(1) == labels).double().mean())]


def test_reading_runs_nothing_and_changes_nothing() -> None:
    module = lenet()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    read_chain(module)
    assert module.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
