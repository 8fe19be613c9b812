"""First and last layers are known by what flows through them, not by the order in which they were registered."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune

from lth.models import MODELS
from lth.sparsity import granularity, prunable, select, structure_of
from lth.sparsity.granularities.flow import ends_of


class HeadDefinedFirst(nn.Module):
    """The classifier is registered before the body, as many libraries' base classes do."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(32, 10)
        self.body = nn.Sequential(nn.Linear(64, 50), nn.ReLU(), nn.Linear(50, 32), nn.ReLU())

    def forward(self, inputs: Tensor) -> Tensor:
        return self.fc(self.body(inputs.flatten(1)))


class TwoHeads(nn.Module):
    """Logits of two classifiers, one of them on a shortcut and written in place; attention and a gate before them."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.first = nn.Linear(4, 3), nn.Linear(4, 3)
        self.gate, self.embed = nn.Linear(4, 4), nn.Linear(5, 4)
        self.position = nn.Parameter(torch.zeros(6, 4))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 6, 5)
        tokens = self.embed(inputs) + self.position
        mixed = self.attention(tokens, tokens, tokens)[0]
        tokens = self.norm(tokens + mixed).mean(1)
        tokens = tokens * torch.sigmoid(self.gate(tokens))
        logits = self.first(tokens).log_softmax(-1)
        logits += self.second(tokens)
        return logits


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(4, 3)
        self.lstm = nn.LSTM(5, 4, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.output(self.lstm(inputs)[0][:, -1])


class RecurrentLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(4, 3, batch_first=True)
        self.embed = nn.Linear(5, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.gru(self.embed(inputs))[0][:, -1]


class Written(nn.Module):
    """Products written out, with weights that are turned round, masked and sliced on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.middle = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(4, 4))
        self.conv = nn.Conv1d(5, 4, 1)
        self.register_buffer("mask", torch.ones(4, 4))

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 6, 5)
        hidden = self.conv(inputs.transpose(1, 2)).amax(2)
        hidden = torch.einsum("bi,oi->bo", hidden, self.middle * self.mask)
        out = torch.zeros(len(inputs), 3)
        out[:] = torch.addmm(torch.zeros(3), F.relu(hidden), self.last.t().contiguous().t())
        return out


TOKENS, IMAGES = torch.randn(2, 6, 5), torch.randn(2, 8, 8)
CASES: dict[str, tuple[Callable[[], nn.Module], Tensor, set[str], set[str]]] = {
    "head defined first": (HeadDefinedFirst, torch.randn(2, 8, 8), {"body.0.weight"}, {"fc.weight"}),
    "two heads": (TwoHeads, TOKENS, {"embed.weight"}, {"first.weight", "second.weight"}),
    "recurrent": (Recurrent, TOKENS, {"lstm.weight_ih_l0", "lstm.weight_hh_l0"}, {"output.weight"}),
    "recurrent last": (RecurrentLast, TOKENS, {"embed.weight"}, {"gru.weight_ih_l0", "gru.weight_hh_l0"}),
    "written out": (Written, TOKENS, {"conv.weight"}, {"last"}),
}


@pytest.mark.parametrize("name", CASES)
def test_ends(name: str) -> None:
    make, inputs, first, last = CASES[name]
    module = make().train()
    found = ends_of(module, partial(module, inputs))
    matrices = {key for key, value in module.named_parameters() if value.ndim > 1}
    assert (set(found.first) & matrices, set(found.last) & matrices) == (first, last)
    assert all(part.training for part in module.modules())
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("name", sorted(name for name in MODELS if MODELS[name].output))  # those that read images
def test_ends_of_every_model(name: str) -> None:
    module = MODELS[name].make(input_shape=(32, 32), num_classes=3)
    structure = structure_of(module, prunable(module), partial(module, torch.randn(2, 32, 32)))
    assert "output.weight" in structure.outputs
    assert {key for key in structure.outputs if key in structure.axes} == {"output.weight"}
    first = next(key for key, value in module.named_parameters() if value.ndim > 1 and key != "position")
    assert first in structure.inputs


def test_tied_language_models() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=11, n_positions=8, n_embd=8, n_layer=1, n_head=2, bos_token_id=0)
    module, tokens = transformers.GPT2LMHeadModel(config), torch.zeros(2, 5, dtype=torch.int64)
    found = ends_of(module, lambda: module(tokens).logits)
    assert found.last == ("transformer.wte.weight",)


def test_pruned_modules_are_followed_to_their_parameters() -> None:
    """torch.nn.utils.prune puts a product of parameter and mask where the weight was."""
    module = HeadDefinedFirst()
    prune.random_unstructured(module.fc, "weight", 0.5)
    assert "fc.weight_orig" in ends_of(module, partial(module, IMAGES)).last


def test_no_class_is_removed_wherever_the_head_was_defined() -> None:
    module = HeadDefinedFirst()
    names = prunable(module)
    scores = {key: module.get_parameter(key).detach().abs() for key in names}
    by_flow = structure_of(module, names, partial(module, IMAGES))
    masks = select(scores, {}, density=0.0, granularity=granularity("output_units"), structure=by_flow)
    assert bool(masks["fc.weight"].all())
    assert not bool(masks["body.0.weight"].any() | masks["body.2.weight"].any())
    by_order = structure_of(module, names)
    assert by_order.outputs == ("body.2.weight",)  # all that can be said without an example


def test_a_convolution_on_the_image_keeps_its_colours_wherever_it_was_defined() -> None:
    class StemLast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output, self.inner, self.stem = nn.Linear(4, 3), nn.Conv2d(6, 4, 1), nn.Conv2d(3, 6, 1)

        def forward(self, images: Tensor) -> Tensor:
            return self.output(self.inner(self.stem(images).relu()).relu().mean((2, 3)))

    module = StemLast()
    names = prunable(module)
    scores = {key: module.get_parameter(key).detach().abs() for key in names}
    structure = structure_of(module, names, partial(module, torch.randn(2, 3, 4, 4)))
    masks = select(scores, {}, density=0.5, granularity=granularity("channels"), structure=structure)
    assert bool(masks["stem.weight"].all())
    assert int(masks["inner.weight"].sum()) == 12
