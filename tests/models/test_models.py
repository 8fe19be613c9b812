"""Models: made under a seed, known by name and structure, checked on a batch."""

import copy
import functools
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lth.config import SupermaskSettings
from lth.data import Arrays
from lth.models import (
    MODELS,
    LeNet300100,
    ModelEntry,
    ModelSpec,
    check_model,
    describe,
    is_importing,
    make_model,
    resolve_factory,
    resolve_function,
    skeleton,
    structure_digest,
)
from lth.sparsity.prunable import prunable
from lth.tasks import Batch, Classification, LanguageModel, Regression, Task

IMAGES: dict[str, Any] = {"input_shape": (8, 8), "num_classes": 10}
PLAIN: dict[str, Any] = {"input_shape": (2,), "num_classes": 2}
TOKENS: dict[str, Any] = {"vocabulary": 11, "block": 6, "bytes_per_token": 1.0}


def images(rows: int = 3, side: int = 8) -> Batch:
    return {"x": torch.rand(rows, side, side), "y": torch.arange(rows) % 10}


def sentences(rows: int = 3) -> Batch:
    ids = torch.arange(rows * 6).reshape(rows, 6) % 11
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "y": torch.arange(rows) % 10}


def tokens(rows: int = 3) -> Batch:
    ids = torch.arange(rows * 6).reshape(rows, 6) % 11
    return {"x": ids, "y": (ids + 1) % 11}


LARGE = {
    "gpt2",
    "gpt2-medium",
    "gpt2-large",
    "gpt2-xl",
    "bert",
    "hugging-face",
}  # the last: tests/lineage/test_hugging_face.py
WIDE = {"vgg-11", "vgg-13", "vgg-16", "vgg-19", "resnet-18", "resnet-50"}
"""They halve images four or five times."""


@pytest.mark.parametrize("name", sorted(MODELS.keys() - LARGE))
def test_every_model_fits_its_task_and_names_its_output(name: str) -> None:
    entry = MODELS[name]
    facts, batch = (IMAGES, images()) if name not in WIDE else (IMAGES | {"input_shape": (32, 32)}, images(side=32))
    task: Task = Classification(10)
    if name == "gpt-char":
        facts, task, batch = TOKENS, LanguageModel(11), tokens()
    elif name.startswith("bert"):
        facts, batch = {"vocabulary": 11, "num_classes": 10}, sentences()
    spec = describe(name, entry.make, facts, task=task, batch=batch)
    module = make_model(spec, entry.make, 0)
    assert entry.output is None or entry.output in prunable(module)
    assert entry.words
    assert spec.draw == ""
    assert ModelSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize("name", ["lenet-300-100", "convnet", "transformer"])
@pytest.mark.parametrize("num_targets", [1, 3])
def test_classifiers_are_regressors_too(name: str, num_targets: int) -> None:
    facts = {"input_shape": (8, 8), "num_targets": num_targets}
    y = torch.rand(3) if num_targets == 1 else torch.rand(3, 3)
    spec = describe(name, MODELS[name].make, facts, task=Regression(), batch={"x": torch.rand(3, 8, 8), "y": y})
    assert spec.arguments == {"input_shape": [8, 8], "num_classes": num_targets}


# Sums of absolute weights under seed 3: results that were ever trained depend on these draws.
@pytest.mark.parametrize(
    ("name", "total"), [("lenet-300-100", 2921.78), ("convnet", 589.305), ("transformer", 2199.802)]
)
def test_golden_draws(name: str, total: float) -> None:
    module = make_model(describe(name, MODELS[name].make, IMAGES), MODELS[name].make, 3)
    assert sum(value.abs().sum().item() for value in module.parameters()) == pytest.approx(total, rel=1e-5)


def test_lenet_is_the_papers() -> None:
    torch.manual_seed(0)
    module = LeNet300100()
    assert sum(value.numel() for value in module.parameters()) == 266_610  # Frankle & Carbin 2019, Figure 2: 266K
    assert not module.hidden1.bias.any()
    expected = (2 / (784 + 300)) ** 0.5  # Glorot & Bengio 2010
    assert module.hidden1.weight.std().item() == pytest.approx(expected, rel=0.01)


class DrawnBy(nn.Linear):
    """Weights drawn by a generator that is not PyTorch's."""

    def __init__(self, draw: Callable[[], Any]) -> None:
        super().__init__(2, 2)
        self.weight.data = torch.as_tensor(np.array([draw() for _ in range(4)]).reshape(2, 2), dtype=torch.float32)


@pytest.mark.parametrize(
    "draw",
    [
        random.random,
        lambda: np.random.normal(),  # noqa: NPY002
        lambda: torch.rand(()).item(),
    ],
)
def test_a_seed_decides_the_weights_and_generators_are_left_alone(draw: Callable[[], Any]) -> None:
    factory = functools.partial(DrawnBy, draw)
    states = random.getstate(), str(np.random.get_state()), torch.get_rng_state()  # noqa: NPY002
    spec = describe("mine", factory, PLAIN)
    first, again, other = (make_model(spec, factory, seed).get_parameter("weight") for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert make_model(spec, factory, 2**40) is not None
    skeleton(spec, factory)
    assert states[:2] == (random.getstate(), str(np.random.get_state()))  # noqa: NPY002
    assert torch.equal(states[2], torch.get_rng_state())


def test_generators_are_put_back_when_a_factory_fails() -> None:
    def broken() -> nn.Module:
        random.random()
        raise KeyError("no such layer\nand more")

    state = random.getstate()
    with pytest.raises(ValueError, match="cannot make the model 'mine' with arguments {}: KeyError: [^\n]*$"):
        describe("mine", broken, PLAIN)
    assert random.getstate() == state


def test_a_generator_of_ones_own_needs_a_seed() -> None:
    def unseeded() -> nn.Module:
        return DrawnBy(np.random.default_rng().random)

    def seeded(seed: int) -> nn.Module:
        return DrawnBy(np.random.default_rng(seed).random)

    with pytest.raises(ValueError, match=r"'mine' differs each time .*\(weight\): give its factory an argument `seed`"):
        describe("mine", unseeded, PLAIN)
    spec = describe("mine", seeded, PLAIN)
    assert spec.arguments == {}
    first, again, other = (make_model(spec, seeded, seed).get_parameter("weight") for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    with pytest.raises(ValueError, match="model 'mine': seed is not for you to set"):
        describe("mine:seed=3", seeded, PLAIN)


def test_a_factory_is_given_only_what_it_asks_for() -> None:
    facts = {"input_shape": (8,), "num_classes": 10}
    assert describe("plain", lambda: nn.Linear(8, 10), facts).arguments == {}
    assert describe("some", lambda num_classes: nn.Linear(8, num_classes), facts).arguments == {"num_classes": 10}
    fixed = functools.partial(lambda num_classes, bias=True: nn.Linear(8, num_classes, bias), num_classes=12)
    assert describe("fixed", fixed, facts).arguments == {}
    assert describe("any", lambda **options: nn.Linear(8, 10, **options), facts).arguments == {}
    with pytest.raises(ValueError, match=r"'mine' needs vocabulary, which the data do not have \(they have input"):
        describe("mine", lambda vocabulary: nn.Embedding(vocabulary, 3), facts)


def test_arguments_of_the_users() -> None:
    name = "transformer:width=16,depth=3"
    spec = describe(name, resolve_factory(name), IMAGES)
    assert (spec.name, spec.arguments) == (
        "transformer", {"input_shape": [8, 8], "num_classes": 10, "width": 16, "depth": 3},
    )  # fmt: skip
    assert len(make_model(spec, resolve_factory("transformer"), 0).get_submodule("blocks")._modules) == 3
    assert describe("transformer", MODELS["transformer"].make, IMAGES, arguments={"width": 16, "depth": 3}) == spec
    with pytest.raises(ValueError, match="model 'transformer' takes no argument 'with'. Its arguments: input_shape, "):
        describe("transformer:with=16", MODELS["transformer"].make, IMAGES)
    with pytest.raises(ValueError, match="width 10 does not fall into 4 heads"):
        describe("transformer:width=10", MODELS["transformer"].make, IMAGES)
    spec = describe("torch.nn:Linear:in_features=2,out_features=2,bias=false", nn.Linear, PLAIN)
    assert (spec.name, spec.arguments["bias"]) == ("torch.nn:Linear", False)


def test_another_initialisation_is_another_model() -> None:
    def make(scale: float) -> nn.Module:
        module = nn.Linear(2, 2)
        nn.init.normal_(module.weight, std=scale)
        return module

    small, large = (describe("mine", lambda scale=scale: make(scale), PLAIN) for scale in (0.1, 1.0))
    assert small.structure == large.structure
    assert small.draw != large.draw


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(3, 5), r"'mine' does not take a batch of x \(3, 2\) float32: RuntimeError: [^\n]*$"),
        (lambda: nn.Linear(2, 2), r"'mine' does not fit classification: it gives \(3, 2\) for 3 examples; logits"),
    ],
)
def test_a_model_must_fit_the_data(make: Callable[[], nn.Module], message: str) -> None:
    batch = {"x": torch.rand(3, 2), "y": torch.tensor([0, 1, 4])}
    facts = {"input_shape": (2,), "num_classes": 5}
    describe("gru", lambda: nn.GRU(2, 5), facts, task=Classification(5), batch=batch)  # the first of its outputs fits
    with pytest.raises(ValueError, match=message):
        describe("mine", make, facts, task=Classification(5), batch=batch)


def test_whole_numbers_are_no_features() -> None:
    facts = {"input_shape": (2,), "num_classes": 2}
    batch = {"x": torch.ones(3, 2, dtype=torch.int64), "y": torch.zeros(3, dtype=torch.int64)}
    with pytest.raises(ValueError, match=r"x \(3, 2\) int64: .*Whole numbers are taken as token ids: give floats"):
        describe("lenet-300-100", LeNet300100, facts, task=Classification(2), batch=batch)


class Moody(nn.Module):
    """Parts of it stay in evaluation mode; in training mode it fails; it draws in its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.output = nn.BatchNorm1d(2).eval(), nn.Linear(2, 2)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 2) -> (batch, 2)
        assert not self.training
        return self.output(inputs + 0 * torch.rand(()))  # type: ignore[no-any-return]


def test_a_check_leaves_no_trace() -> None:
    module = Moody()
    batch = {"x": torch.rand(3, 2), "y": torch.zeros(3, dtype=torch.int64)}
    before, rng = copy.deepcopy(module.state_dict()), torch.get_rng_state()
    check_model("mine", module, Classification(2), batch)
    check_model("mine", module, Classification(2), Arrays(batch))
    assert (module.training, module.norm.training, module.output.training) == (True, False, True)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(rng, torch.get_rng_state())


def test_outputs_of_transformers_and_inputs_by_name() -> None:
    from transformers import BertConfig, BertForSequenceClassification

    def make(vocabulary: int = 20, num_classes: int = 3) -> nn.Module:
        config = BertConfig(
            vocab_size=vocabulary, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
            num_labels=num_classes, max_position_embeddings=8,
        )  # fmt: skip
        return BertForSequenceClassification(config)

    ids = torch.arange(8).reshape(2, 4)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "y": torch.tensor([0, 2])}
    spec = describe("bert", make, {"num_classes": 3}, task=Classification(3), batch=batch)
    assert spec.arguments == {"num_classes": 3}
    with pytest.raises(ValueError, match=r"does not take a batch of ids \(2, 4\) int64: [A-Z][a-z]+Error: [^\n]*$"):
        describe("bert", make, {}, task=Classification(3), batch={"ids": ids, "y": batch["y"]})


class Lazily(nn.Module):
    """Sizes are inferred at the first forward pass."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.hidden, self.norm, self.output = nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.LazyLinear(num_classes)

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:  # (batch, *shape) -> (batch, class)
        hidden = self.norm(self.hidden(x.flatten(1))).relu()
        return self.output(hidden if scale is None else hidden * scale)  # type: ignore[no-any-return]


def test_modules_made_in_two_steps() -> None:
    spec = describe("lazy", Lazily, IMAGES)
    assert spec == describe("lazy", Lazily, IMAGES, task=Classification(10), batch=images(2))
    first, again, other = (make_model(spec, Lazily, seed) for seed in (1, 1, 2))
    assert first.get_parameter("hidden.weight").shape == (4, 64)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())
    assert not torch.equal(first.get_parameter("output.weight"), other.get_parameter("output.weight"))
    assert first.training
    assert not first.get_buffer("norm.running_mean").any()
    assert {name: value.shape for name, value in skeleton(spec, Lazily).named_parameters()} == {
        name: value.shape for name, value in first.named_parameters()
    }
    masked = make_model(spec.model_copy(update={"supermask": SupermaskSettings()}), Lazily, 1)
    assert masked.get_buffer("network.hidden.weight").equal(first.get_parameter("hidden.weight"))


def test_modules_made_in_two_steps_from_several_inputs() -> None:
    batch = {"x": torch.rand(5, 3), "scale": torch.rand(5, 4), "y": torch.arange(5)}
    facts = {"input_shape": {"x": (3,), "scale": (4,)}, "num_classes": 10}
    spec = describe("lazy", Lazily, facts, task=Classification(10), batch=batch)
    assert make_model(ModelSpec.model_validate_json(spec.model_dump_json()), Lazily, 0).get_parameter(
        "hidden.weight"
    ).shape == (4, 3)
    with pytest.raises(ValueError, match="'lazy' infers sizes at its first call: give `describe` a task and a batch"):
        describe("lazy", Lazily, facts)


def test_structure_changes_with_what_it_is_made_of() -> None:
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    modules = [
        nn.Sequential(nn.Linear(2, 2), nn.ReLU()),
        nn.Sequential(nn.Linear(2, 2), nn.Tanh()),
        nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.1)),
        nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.2)),
        nn.Sequential(nn.Linear(2, 2, dtype=torch.float64), nn.ReLU()),
        nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.ReLU()),
        nn.Sequential(nn.Linear(2, 3), nn.ReLU()),
        nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
        tied,
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)),
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)),
    ]
    assert len({structure_digest(module) for module in modules}) == len(modules)
    assert structure_digest(modules[0]) == structure_digest(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    spec = describe("mine", lambda: modules[0], PLAIN)
    with pytest.raises(ValueError, match="no longer has the structure"):
        make_model(spec, lambda: modules[1], 0)


REPRS = '''
from torch import nn

class Scale:
    def __call__(self, x):
        return x * 0.5

class Reprs(nn.Module):
    """A module whose representation differs from process to process."""

    def __init__(self):
        super().__init__()
        self.output, self.scale = nn.Linear(2, 2), Scale()
        self.kinds = {"one", "two", "three", "four", "five"}

    def extra_repr(self):
        return f"scale={self.scale}, kinds={self.kinds}"

    def forward(self, x):
        return self.scale(self.output(x))
'''


def test_structure_is_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "reprs.py").write_text(REPRS)
    code = (
        "from lth.models import describe, resolve_factory\nname = 'reprs:Reprs'\n"
        "import reprs; keep = [reprs.Scale() for _ in range({count})]\n"
        "print(repr(resolve_factory(name)().extra_repr()))\n"
        "print(describe(name, resolve_factory(name), {{}}).model_dump_json())"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code.format(count=count)],
            cwd=tmp_path,
            env={"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}", "PYTHONHASHSEED": str(count)},
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout.splitlines()
        for count in (1, 5000)
    ]
    assert found[0][0] != found[1][0]  # representations do differ
    assert found[0][1] == found[1][1]


def test_a_skeleton_has_names_and_shapes_without_values() -> None:
    spec = describe("lenet-300-100", LeNet300100, IMAGES)
    bare = skeleton(spec, LeNet300100)
    assert {value.device.type for value in bare.parameters()} == {"meta"}
    assert {name: value.shape for name, value in bare.state_dict().items()} == {
        name: value.shape for name, value in make_model(spec, LeNet300100, 0).state_dict().items()
    }
    assert skeleton(spec, LeNet300100) is bare
    settings = SupermaskSettings(method="edge_popup", weights="signed_constant")
    masked = skeleton(spec.model_copy(update={"supermask": settings}), LeNet300100)
    assert {value.device.type for value in masked.parameters()} == {"meta"}
    assert "scores.output.weight" in masked.state_dict()


def test_a_skeleton_of_a_factory_that_reads_values_is_real() -> None:
    def reading() -> nn.Module:
        module = nn.Linear(2, 2)
        assert module.weight.sum().item() != 0
        return module

    kept = nn.Linear(2, 2)
    for factory in (reading, lambda: kept):
        spec = describe("mine", factory, PLAIN)
        assert {value.device.type for value in skeleton(spec, factory).parameters()} == {"cpu"}


def test_a_module_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'mine' has tensors without values \(device meta\)"):
        describe("mine", lambda: nn.Linear(2, 2, device="meta"), PLAIN)


def test_a_model_goes_where_it_is_asked_to() -> None:
    spec = describe("lenet-300-100", LeNet300100, IMAGES)
    moved = make_model(spec, LeNet300100, 0, device="meta")
    assert {value.device.type for value in moved.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lenet-300", "Did you mean 'lenet-300-100'.*a model of your own as `package.module:function`"),
        ("lenet-300:width=3", "unknown model 'lenet-300'. Did you mean 'lenet-300-100'"),
        ("nowhere.at.all:make", "cannot import the model 'nowhere.at.all:make': ModuleNotFoundError"),
        ("torch.nn:NoSuchThing", "cannot import the model"),
        ("math:pi", "is a float"),
        ("gpt2:width", "'gpt2:width': arguments of gpt2 are written NAME=VALUE"),
    ],
)
def test_names_that_are_no_model(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_factory(name)


SEARCHES = """
from lth.models import is_importing
WAS_IMPORTING = is_importing()
def make(width: int = 2):
    from torch import nn
    return nn.Linear(2, width)
class Family:
    make = staticmethod(make)
"""


def test_functions_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "searches_on_import.py").write_text(SEARCHES)
    make = resolve_function("searches_on_import:make")
    assert make.__globals__["WAS_IMPORTING"]  # type: ignore[attr-defined]
    assert not is_importing()
    assert resolve_function("searches_on_import:Family.make") is make
    (tmp_path / "exits.py").write_text("raise SystemExit(3)")
    with pytest.raises(ValueError, match="cannot import the task 'exits:make': SystemExit: 3"):
        resolve_function("exits:make", "task")
    assert not is_importing()


def test_names_that_are_a_model() -> None:
    assert resolve_factory("torch.nn:Linear:in_features=3") is nn.Linear
    assert resolve_factory("torch.nn:modules.Linear") is nn.Linear
    assert resolve_factory("gpt2:n_embd=32") is MODELS["gpt2"].make


def test_a_factory_that_makes_no_module() -> None:
    with pytest.raises(ValueError, match="made a dict"):
        describe("mine", lambda: {}, PLAIN)  # type: ignore[arg-type, return-value]


def test_a_scripts_own_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "mine", ModelEntry(lambda width=2: nn.Linear(2, width), "weight", "a Linear"))
    spec = describe("mine:width=3", resolve_factory("mine:width=3"), PLAIN)
    assert (spec.name, spec.arguments) == ("mine", {"width": 3})
    assert spec.draw  # how it draws may change, unlike what lth brings
    assert list(MODELS.own()) == ["mine"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "bert-tiny:num_hidden_layer=1",
            "unknown entry of BertConfig 'num_hidden_layer'. Did you mean 'num_hidden_layers'",
        ),
        ("bert:vocab_size=7", "unknown entry of BertConfig 'vocab_size'"),
        ("bert-mini:num_attention_heads=3", "hidden size \\(256\\) is not a multiple"),
    ],
)
def test_wrong_entries_of_a_bert_are_refused(name: str, message: str) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(ValueError, match=message) as caught:
        describe(name, resolve_factory(name), {"vocabulary": 20, "num_classes": 2})
    assert "\n" not in str(caught.value)


def test_sizes_of_a_bert_by_arguments() -> None:
    pytest.importorskip("transformers")
    name = "bert-tiny:num_hidden_layers=1,hidden_size=16,hidden_dropout_prob=0"
    spec = describe(name, resolve_factory(name), {"vocabulary": 20, "num_classes": 3})
    module = make_model(spec, resolve_factory(name), seed=0)
    sizes = {name: tuple(value.shape) for name, value in module.named_parameters()}
    assert sizes["bert.encoder.layer.0.intermediate.dense.weight"] == (64, 16)
    assert sizes["classifier.weight"] == (3, 16)
    assert not any("layer.1." in name for name in sizes)
