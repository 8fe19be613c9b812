"""Which engine is chosen, and what is said about it."""

from typing import Any

import pytest
import torch
from sparse_trainings import train_one
from torch import nn
from trainings import ConvNet, classification, dropout_net, lenet, member, run, short_training, small_net

from lth.config import Sparsifier, TaskSpec
from lth.models.conv_frankle import FrankleConv
from lth.training.engines import choose_engine

OBSTACLES: dict[str, tuple[dict[str, Any], str]] = {
    "module": ({"module": ConvNet()}, "it holds unsqueeze"),
    "device": ({"device": torch.device("cuda")}, "the device is cuda"),
    "population": ({"population": 3}, "3 networks are trained in one program"),
    "sparsifier": (
        {"training": short_training(sparsifier=Sparsifier(method="set"))},
        "sparsifier 'set' changes masks during training",
    ),
    "trace": (
        {"training": short_training(traces=["moments", "movement_pruning"])},
        "movement_pruning is summed up over the steps",
    ),
    "precision": ({"training": short_training(precision="bfloat16")}, "the precision is bfloat16"),
    "optimizer": ({"training": short_training(optimizer="rprop")}, "optimizer 'rprop' is none of sgd, adam, adamw"),
    "task": ({"training": short_training(task=TaskSpec(name="regression"))}, "the task is regression"),
    "decay": (
        {"training": short_training(weight_decay=0.1, no_decay=["vectors"])},
        "some parameters decay and others do not",
    ),
    "option": (
        {"training": short_training(optimizer_options={"amsgrad": True})},
        "optimizer option amsgrad=True is not one of",
    ),
}


def choose(engine: str, **changes: Any) -> Any:
    given = {"module": small_net(), "training": short_training(), "device": torch.device("cpu"), **changes}
    return choose_engine(engine, given.pop("module"), given.pop("training"), **given)


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_the_sparse_engine_cannot_do(name: str) -> None:
    changes, reason = OBSTACLES[name]
    choice = choose("auto", **changes)
    assert choice.name == "torch"
    assert choice.reason.startswith("the sparse engine cannot train this: ")
    assert reason in choice.reason
    assert choose("torch", **changes).name == "torch"
    with pytest.raises(ValueError, match=f"the sparse engine cannot train this: .*{reason}.*Choose engine") as caught:
        choose("sparse", **changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make", [small_net, dropout_net, lenet, lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))]
)
def test_perceptrons_are_for_the_sparse_engine(make: Any) -> None:
    assert choose("auto", module=make()).name == "sparse"
    assert choose("sparse", module=make()).reason == choose("torch", module=make()).reason == "as requested"
    options = {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9, "nesterov": True, "foreach": False}}
    for fields in (
        {"precision": "float64"},
        {"optimizer": "adamw"},
        options,
        {"task": classification(minimise="mean_squared_error")},
    ):
        assert choose("auto", module=make(), training=short_training(**fields, traces=["moments"])).name == "sparse"


def test_wide_networks_are_for_torch_while_they_are_mostly_whole() -> None:
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 8000), nn.ReLU(), nn.Linear(8000, 10))
    for density, engine in ((1.0, "torch"), (0.8, "torch"), (0.64, "sparse")):
        assert choose("auto", module=wide, density=density).name == engine
        assert choose("auto", density=density).name == "sparse"
    assert choose("auto", module=wide).reason == "600,010 weights, more than 75 % kept: faster there"
    assert choose("auto", module=wide, density=0.1).reason == "600,010 weights, at most 75 % kept: faster there"


def test_convolutions_are_for_the_sparse_engine_once_they_are_half_pruned() -> None:
    module = FrankleConv((8, 8))
    for density, engine, kept in (
        (1.0, "torch", "more than"),
        (0.51, "torch", "more than"),
        (0.5, "sparse", "at most"),
    ):
        choice = choose("auto", module=module, density=density)
        assert (choice.name, choice.has_convolutions) == (engine, True)
        assert choice.reason == f"convolutions, {kept} 50 % kept: faster there"
    assert choose("sparse", module=module).has_convolutions
    augmented = choose("auto", module=module, density=0.1, training=short_training(augment=("flip",)))
    assert augmented.name == "torch"
    assert "images are augmented at every step (flip)" in augmented.reason


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown engine 'spares'.*sparse"):
        choose("spares")


def test_outcomes_say_which_engine_it_was() -> None:
    training = short_training(batch_size=13, precision="float64", steps=2)
    engines = {
        asked: train_one(member(small_net, 1), small_net(), training, engine=asked).engine
        for asked in ("torch", "sparse", "auto")
    }
    assert engines == {"torch": "torch", "sparse": "sparse", "auto": "sparse"}
    both = run([member(small_net, 1), member(small_net, 2)], small_net(), training, engine="auto")
    assert [outcome.engine for outcome in both] == ["torch", "torch"]


def test_a_convolution_cannot_be_forced() -> None:
    with pytest.raises(
        ValueError, match=r"cannot train this: it holds unsqueeze, which is none of .*\. Choose engine torch or auto"
    ):
        train_one(member(ConvNet, 1), ConvNet(), short_training())


def test_a_module_in_evaluation_mode_is_chosen_as_it_will_be_trained() -> None:
    class DropsInputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = nn.Linear(64, 10)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.output(nn.functional.dropout(inputs.flatten(1), 0.2, training=self.training))

    assert choose("auto", module=DropsInputs().eval()).name == "torch"
