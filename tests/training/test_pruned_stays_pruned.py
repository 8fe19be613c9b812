"""Law 2: after every step a frozen entry is bit-equal to its fill value; masked gradients come before the clip."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from trainings import (
    ConvNet,
    FolderJournal,
    Make,
    TiedEmbedding,
    TiedNet,
    digits,
    lenet,
    masks_of,
    member,
    run,
    same_bits,
    short_training,
    small_net,
    start_of,
    x_and_y,
)

from lth.data.order import epoch_order
from lth.training import OPTIMIZERS, Member, Seeds

STEPS = range(1, 9)
OPTIONS: dict[str, dict[str, object]] = {"sgd": {"momentum": 0.9, "nesterov": True}, "rmsprop": {"momentum": 0.9}}


def check_frozen(folder: Path, make: Make, members: list[Member], **fields: object) -> None:
    """Trains a little and looks at every step: frozen entries rest, and at the end kept ones have moved."""
    journal = FolderJournal(folder)
    training = short_training(steps=8, **fields)
    run(members, make(), training, checkpoints=STEPS, journal=journal)
    for each in members:
        for name, mask in each.masks.items():
            assert not mask.all()
            for step in STEPS:
                now = journal.kept[each.key, step][name]
                assert same_bits(now[~mask], each.start[name][~mask]), (name, step)
            assert (now[mask] != each.start[name][mask]).float().mean() > 0.3  # digits have blank corners


@pytest.mark.parametrize("fill", [0.0, 0.25])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_entries_rest_under_every_optimizer(name: str, weight_decay: float, fill: float, tmp_path: Path) -> None:
    decay = 0.0 if name == "rprop" else weight_decay  # Rprop has none
    fields = {"optimizer": name, "optimizer_options": OPTIONS.get(name, {}), "weight_decay": decay, "clip": 0.5}
    check_frozen(tmp_path, small_net, [member(small_net, 1, fill=fill)], **fields)


@pytest.mark.parametrize("fill", [0.0, -0.5])
@pytest.mark.parametrize("make", [ConvNet, TiedNet, TiedEmbedding], ids=lambda make: make.__name__)
def test_frozen_entries_rest_in_a_stack(make: Make, fill: float, tmp_path: Path) -> None:
    members = [member(make, seed, density=density, fill=fill) for seed, density in ((1, 0.7), (2, 0.2))]
    check_frozen(tmp_path, make, members, optimizer="adamw", weight_decay=0.1, clip=0.5)


@pytest.mark.parametrize("make", [ConvNet, TiedNet, TiedEmbedding], ids=lambda make: make.__name__)
def test_frozen_entries_rest_in_one(make: Make, tmp_path: Path) -> None:
    fields = {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "weight_decay": 0.1}
    check_frozen(tmp_path, make, [member(make, 1, fill=0.5)], **fields)


def test_bfloat16_keeps_float32_masters_and_masks(tmp_path: Path) -> None:
    members = [member(lenet, seed) for seed in (1, 2)]
    for group in (members[:1], members):
        check_frozen(tmp_path, lenet, group, precision="bfloat16", optimizer="adamw", weight_decay=0.1, lr=1e-3)
        outcome = run(group, lenet(), short_training(precision="bfloat16", steps=60, lr=1.2e-3))[0]
        assert {value.dtype for value in outcome.weights.values()} == {torch.float32}
        rounded = [value.bfloat16().float() for value in outcome.weights.values()]
        assert not any(map(torch.equal, rounded, outcome.weights.values()))
        assert outcome.history.curves["validation/accuracy"][-1] > 0.6


@pytest.mark.parametrize("size", [1, 3])
def test_clip_takes_the_norm_of_kept_gradients(size: int) -> None:
    """One step of SGD against torch by hand: with a clip of the whole norm the step would be shorter."""
    x, y = x_and_y(digits()["train"])
    members = [member(small_net, seed, density=0.1) for seed in range(size)]
    training = short_training(optimizer="sgd", lr=0.5, clip=0.05, steps=1, precision="float64")
    for each, outcome in zip(members, run(members, small_net(), training), strict=True):
        indices = epoch_order(len(y), each.seeds.order, 0)[:20]
        module = small_net().double()
        module.load_state_dict(each.start)
        F.cross_entropy(module(x[indices].double()), y[indices]).backward()
        gradients = {name: value.grad for name, value in module.named_parameters()}
        kept = {name: value * each.masks[name] if name in each.masks else value for name, value in gradients.items()}
        norm = torch.cat([value.reshape(-1) for value in kept.values()]).norm()
        assert norm < 0.95 * torch.cat([value.reshape(-1) for value in gradients.values()]).norm()
        assert norm > 0.05
        for name, start in each.start.items():
            wanted = start.double() - 0.5 * kept[name] * 0.05 / (norm + 1e-6)
            torch.testing.assert_close(outcome.weights[name], wanted, rtol=0, atol=1e-12)


def test_tied_weights_stay_tied() -> None:
    for size in (1, 2):
        members = [member(TiedNet, seed) for seed in range(size)]
        for outcome in run(members, TiedNet(), short_training()):
            assert torch.equal(outcome.weights["first.weight"], outcome.weights["second.weight"])
            assert outcome.weights.keys() == TiedNet().state_dict().keys()


def test_misnamed_and_misshapen_masks_are_errors() -> None:
    start, seeds = start_of(small_net, 1), Seeds(init=1, order=1, augmentation=1)
    mask = masks_of(small_net, 1)["1.weight"]
    for masks, word in (({"1.wieght": mask}, "1.wieght"), ({"1.weight": mask[:1]}, "1.weight")):
        with pytest.raises(ValueError, match=word):
            run([Member("one", start, masks, seeds)], small_net(), short_training())
