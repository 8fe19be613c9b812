"""However a stack is done, all in one call or one member after the other, its members are the same."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trainings import (
    ConvNet,
    FolderJournal,
    TiedNet,
    assert_same_bits,
    digits_split,
    dropout_net,
    lenet,
    member,
    recipe,
    small_net,
)

from lth.training import Interrupted, Member, train
from lth.training.engines.torch_engine import TorchEngine
from lth.training.population import Population
from lth.training.stacking import STACKINGS, Stacking, has_convolutions, usual_stacking

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
    schedule = recipe(duration="8it", evaluate_every=4, precision="float64", **fields)
    members = [member(make, seed, density=density) for seed, density in enumerate((0.5, 0.2, None))]
    for each, outcome in zip(members, train(members, make(), digits_split(), schedule), strict=True):
        alone = train([each], make(), digits_split(), schedule)[0]
        for name, value in alone.weights.items():
            torch.testing.assert_close(outcome.weights[name], value, rtol=0, atol=1e-9, msg=name)
        assert outcome.metrics["validation_loss"] == pytest.approx(alone.metrics["validation_loss"], abs=1e-9)
        assert outcome.metrics["test_accuracy"] == alone.metrics["test_accuracy"]


@pytest.mark.parametrize("way", STACKINGS)
def test_members_drop_units_of_their_own(way: Stacking, monkeypatch: pytest.MonkeyPatch) -> None:
    always(monkeypatch, way)
    one = member(dropout_net, 1)
    left, right = train(
        [one, Member("other", one.start, one.masks, one.seeds)], dropout_net(), digits_split(), recipe()
    )
    assert not torch.equal(left.weights["4.weight"], right.weights["4.weight"])


def test_a_stack_goes_on_in_the_way_that_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, though by now the other way would be chosen."""
    members = [member(dropout_net, seed) for seed in (1, 2)]
    always(monkeypatch, "loop")
    whole = train(members, dropout_net(), digits_split(), recipe())
    with pytest.raises(Interrupted):
        train(
            members, dropout_net(), digits_split(), recipe(), journal=FolderJournal(tmp_path, 7), snapshot_seconds=0.0
        )
    always(monkeypatch, "vmap")
    resumed = train(members, dropout_net(), digits_split(), recipe(), journal=FolderJournal(tmp_path))
    other = train(members, dropout_net(), digits_split(), recipe())
    for before, after, otherwise in zip(whole, resumed, other, strict=True):
        assert (after.num_steps, before.num_steps) == (5, 12)
        assert_same_bits(after.weights, before.weights)
        assert (after.signature, otherwise.signature) == ("torch/cpu/2-loop", "torch/cpu/2-vmap")


def test_part_of_a_stack_goes_on_from_its_snapshots_only_if_told(tmp_path: Path) -> None:
    members, schedule = [member(ConvNet, seed) for seed in (1, 2, 3)], recipe(precision="float64")
    whole = train(members, ConvNet(), digits_split(), schedule)
    with pytest.raises(Interrupted):
        journal = FolderJournal(tmp_path, 7)
        train(members, ConvNet(), digits_split(), schedule, journal=journal, snapshot_seconds=0.0)
    for part in (members[:2], members[2:]):
        for told, num_steps in ((False, 12), (True, 5)):
            outcomes = train(
                part,
                ConvNet(),
                digits_split(),
                schedule,
                journal=FolderJournal(tmp_path),
                from_larger_stack=told,
                snapshot_seconds=1e6,
            )
            for each, outcome in zip(part, outcomes, strict=True):
                assert outcome.num_steps == num_steps
                for name, value in whole[members.index(each)].weights.items():
                    torch.testing.assert_close(outcome.weights[name], value, rtol=0, atol=1e-9, msg=name)


def test_parts_of_a_stack_do_not_draw_the_same_from_then_on(tmp_path: Path) -> None:
    """Both would go on with the generator of the whole."""
    one = member(dropout_net, 1)
    twins = [Member(f"{index}", one.start, one.masks, one.seeds) for index in range(2)]
    twins[1] = Member("1", one.start, one.masks, one.seeds.model_copy(update={"augmentation": 2}))
    journal = FolderJournal(tmp_path, 1)
    with pytest.raises(Interrupted):
        train(twins, dropout_net(), digits_split(), recipe(), journal=journal, snapshot_seconds=0.0)
    (tmp_path / "1").write_bytes((tmp_path / "0").read_bytes())
    left, right = (
        train([each], dropout_net(), digits_split(), recipe(), journal=FolderJournal(tmp_path), from_larger_stack=True)[
            0
        ]
        for each in twins
    )
    assert left.num_steps == right.num_steps == 11
    assert not torch.equal(left.weights["4.weight"], right.weights["4.weight"])


def test_the_loop_is_for_convolutions() -> None:
    assert [has_convolutions(make()) for make in (ConvNet, lenet)] == [True, False]
    assert [usual_stacking(make()) for make in (ConvNet, lenet)] == ["loop", "vmap"]


@pytest.mark.parametrize("way", STACKINGS)
def test_trying_a_way_leaves_no_trace(way: Stacking) -> None:
    members = [member(ConvNet, seed) for seed in (1, 2)]
    population = Population(ConvNet().train(), members, torch.device("cpu"), "float32")
    before = {name: value.clone() for name, value in population.tensors().items()}
    inputs, labels = torch.rand(2, 20, 8, 8), torch.zeros(2, 20, dtype=torch.int64)
    with population.trying(way):
        assert population.stacking == way
        torch.autograd.grad(population.losses(inputs, labels).sum(), list(population.parameters.values()))
    assert population.stacking == "loop"
    assert_same_bits(before, population.tensors())
    population.losses(inputs, labels)
    assert not torch.equal(before["norm1.running_mean"], population.tensors()["norm1.running_mean"])


class ColourNet(nn.Module):
    """A convolution of images with channels, with batch norm; notes how its images lie in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.output = nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Linear(4, 10)
        self.found: list[bool] = []

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 2, 6, 6) -> (batch, class)
        self.found.append(inputs.is_contiguous(memory_format=torch.channels_last))
        return self.output(F.relu(self.norm(self.conv(inputs))).mean((2, 3)))


@pytest.mark.parametrize("size", [1, 2])
def test_channels_last_changes_the_layout_and_nothing_else(size: int) -> None:
    members = [member(ColourNet, seed) for seed in range(size)]
    shape = (20, 2, 6, 6) if size == 1 else (size, 20, 2, 6, 6)
    inputs = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20).expand(size, 20).remainder(10).squeeze(0)
    found = []
    for is_channels_last in (False, True):
        module = ColourNet().train()
        population = Population(module, members, torch.device("cpu"), "float64")
        assert not population.is_channels_last
        population.is_channels_last = is_channels_last
        gradients = torch.autograd.grad(population.losses(inputs, labels).sum(), list(population.parameters.values()))
        measured = population.evaluate(torch.rand(30, 2, 6, 6, dtype=torch.float64), torch.zeros(30).long())[1]
        assert module.found == [is_channels_last] * (2 * size)
        assert measured.shape == (size,)
        found.append([*gradients, *population.buffers.values()])
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


def test_the_signature_names_the_way() -> None:
    options = {"first_step": 0, "device": torch.device("cpu"), "sparsifier": None, "traces": ()}
    for make, size, signature in (
        (ConvNet, 1, "torch/cpu/1"),
        (ConvNet, 2, "torch/cpu/2-loop"),
        (small_net, 3, "torch/cpu/3-vmap"),
    ):
        members = [member(make, seed) for seed in range(size)]
        schedule = recipe(precision="float64")  # in which no layer is exchanged for a faster one
        assert TorchEngine(members, make(), digits_split(), schedule, **options).signature == signature
