"""However a stack is done, all in one call or one member after the other, its members are the same."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from trainings import (
    ConvNet,
    FolderJournal,
    Make,
    TiedNet,
    assert_close,
    assert_same_bits,
    digits,
    dropout_net,
    lenet,
    member,
    run,
    short_training,
    small_net,
)

from lth.tasks import Classification
from lth.training import Interrupted, Member, Unstackable, Where
from lth.training.engines.torch_engine import TorchEngine
from lth.training.population import Population
from lth.training.stacking import STACKINGS, Stacking, usual_stacking

CASES = {
    "conv-adamw-clip": (ConvNet, {"optimizer": "adamw", "weight_decay": 0.05, "clip": 0.7, "lr": 3e-3}),
    "tied-sgd": (TiedNet, {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "lr": 0.05}),
    "lenet-adam": (lenet, {"optimizer": "adam"}),
}


def always(monkeypatch: pytest.MonkeyPatch, way: Stacking) -> None:
    """Stacks are done this way, whatever the network."""
    monkeypatch.setattr("lth.training.population.usual_stacking", lambda module: way)


@pytest.mark.parametrize("way", STACKINGS)
@pytest.mark.parametrize("case", CASES)
def test_a_stack_equals_its_members_trained_alone(case: str, way: Stacking, monkeypatch: pytest.MonkeyPatch) -> None:
    always(monkeypatch, way)
    make, fields = CASES[case]
    training = short_training(steps=8, evaluate_every=4, precision="float64", **fields)
    members = [member(make, seed, density=density) for seed, density in enumerate((0.5, 0.2, None))]
    for each, outcome in zip(members, run(members, make(), training), strict=True):
        assert_close(outcome, run([each], make(), training)[0])


@pytest.mark.parametrize("way", STACKINGS)
def test_members_drop_units_of_their_own(way: Stacking, monkeypatch: pytest.MonkeyPatch) -> None:
    always(monkeypatch, way)
    one = member(dropout_net, 1)
    left, right = run([one, Member("other", one.start, one.masks, one.seeds)], dropout_net(), short_training())
    assert not torch.equal(left.weights["4.weight"], right.weights["4.weight"])


def test_a_snapshot_of_the_other_way_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its generator would go on with other draws: the training starts over."""
    members = [member(dropout_net, seed) for seed in (1, 2)]
    always(monkeypatch, "loop")
    with pytest.raises(Interrupted):
        run(members, dropout_net(), short_training(), journal=FolderJournal(tmp_path, 7), snapshot_seconds=0.0)
    resumed = run(members, dropout_net(), short_training(), journal=FolderJournal(tmp_path))
    always(monkeypatch, "vmap")
    other = run(members, dropout_net(), short_training(), journal=FolderJournal(tmp_path))
    for after, otherwise in zip(resumed, other, strict=True):
        assert (after.num_steps, otherwise.num_steps) == (5, 12)
        assert (after.signature, otherwise.signature) == ("torch/cpu/2-loop", "torch/cpu/2-vmap")


def test_a_snapshot_of_a_larger_stack_is_not_taken(tmp_path: Path) -> None:
    members, training = [member(small_net, seed) for seed in (1, 2, 3)], short_training()
    with pytest.raises(Interrupted):
        run(members, small_net(), training, journal=FolderJournal(tmp_path, 7), snapshot_seconds=0.0)
    for part in (members[:2], members[2:]):
        outcomes = run(part, small_net(), training, journal=FolderJournal(tmp_path))
        assert [outcome.num_steps for outcome in outcomes] == [12] * len(part)


class Recurrent(nn.Module):
    """An LSTM over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.output = nn.LSTM(8, 6, batch_first=True), nn.Linear(6, 10)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.output(self.rows(inputs)[0][:, -1])


def normed_by_spectrum() -> nn.Module:
    """A layer whose weight is divided by its largest singular value, by an operation that writes in place."""
    return nn.Sequential(nn.Flatten(), spectral_norm(nn.Linear(64, 12)), nn.ReLU(), nn.Linear(12, 10))


class Branching(nn.Module):
    """Asks Python to decide by a value."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = small_net()

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.layers(inputs if inputs.mean() > 0.1 else -inputs)


def test_recurrent_layers_are_not_stacked() -> None:
    """They would compute with the module's own weights: alone they train."""
    members = [member(Recurrent, seed, density=None) for seed in (1, 2)]
    with pytest.raises(Unstackable, match="recurrent layers read their weights from a list"):
        run(members, Recurrent(), short_training())
    assert run(members[:1], Recurrent(), short_training())[0].history.diverged_at is None


@pytest.mark.parametrize("make", [Branching, normed_by_spectrum])
def test_what_vmap_cannot_do_is_computed_one_after_the_other(make: Make) -> None:
    """Said once, in one line; the numbers are those of each alone."""
    members, training = [member(make, seed, density=None) for seed in (1, 2)], short_training(precision="float64")
    with pytest.warns(UserWarning, match="these networks are computed one after the other: vmap says") as said:
        outcomes = run(members, make(), training)
    assert len(said) == 1
    assert "\n" not in str(said[0].message)
    for each, outcome in zip(members, outcomes, strict=True):
        assert outcome.signature == "torch/cpu/2-loop"
        assert_close(outcome, run([each], make(), training)[0])


def test_the_loop_is_for_convolutions() -> None:
    assert [usual_stacking(make()) for make in (ConvNet, lenet)] == ["loop", "vmap"]


@pytest.mark.parametrize("way", STACKINGS)
def test_trying_leaves_no_trace(way: Stacking) -> None:
    members = [member(ConvNet, seed) for seed in (1, 2)]
    population = Population(ConvNet().train(), members, torch.device("cpu"), "float32", Classification(10))
    population.stacking = way
    before = {name: value.clone() for name, value in population.tensors().items()}
    batch, drawn = {"x": torch.rand(2, 20, 8, 8), "y": torch.zeros(2, 20, dtype=torch.int64)}, torch.get_rng_state()
    with population.trying():
        population.losses(batch).sum().backward()
        torch.rand(1)
    assert all(parameter.grad is None for parameter in population.parameters.values())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert_same_bits(before, population.tensors())
    population.losses(batch)
    assert not torch.equal(before["norm1.running_mean"], population.tensors()["norm1.running_mean"])


def test_the_signature_names_the_way() -> None:
    for make, size, signature in (
        (ConvNet, 1, "torch/cpu/1"),
        (ConvNet, 2, "torch/cpu/2-loop"),
        (small_net, 3, "torch/cpu/3-vmap"),
    ):
        members = [member(make, seed) for seed in range(size)]
        training = short_training(precision="float64")  # in which no layer is exchanged for a faster one
        assert TorchEngine(members, make(), digits(), training, Where()).signature == signature
