"""Stop and resume equals never stopping, bit for bit; checkpoints and rewinding are exact."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from trainings import (
    ConvNet,
    FolderJournal,
    Make,
    assert_same,
    assert_same_bits,
    dense_member,
    dropout_net,
    member,
    run,
    same_bits,
    short_training,
    small_net,
)

from lth.config import Sparsifier, Training
from lth.training import OPTIMIZERS, SPARSIFIERS, Interrupted, Member, Outcome, Snapshot, snapshot_from_bytes
from lth.training.snapshot import FORMAT

OPTIMIZER_FIELDS = {
    "adam": {"optimizer": "adam"},
    "sgd-momentum": {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "lr": 0.05},
}


def train_with_stops(
    make: Make, members: list[Member], training: Training, folder: Path, stops: Sequence[int]
) -> tuple[list[Outcome], FolderJournal]:
    """Trains, stops at each of some steps with a snapshot, and goes on from the files."""
    for stop in stops:
        with pytest.raises(Interrupted):
            journal = FolderJournal(folder, stop_at=stop)
            run(members, make(), training, journal=journal, snapshot_seconds=0.0)
        assert journal.step == stop
    journal = FolderJournal(folder)
    return run(members, make(), training, journal=journal, snapshot_seconds=0.0), journal


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("fields", OPTIMIZER_FIELDS.values(), ids=OPTIMIZER_FIELDS)
@pytest.mark.parametrize("make", [dropout_net, ConvNet], ids=["dropout", "conv"])
def test_stop_and_resume_equals_never_stopping(
    make: Make, fields: dict[str, object], size: int, tmp_path: Path
) -> None:
    members = [member(make, seed) for seed in range(size)]
    # 48 steps an epoch: the stops lie before and after an epoch's end, on an evaluation and between two.
    training = short_training(steps=80, evaluate_every=10, lr_decay="cosine", warmup=5, **fields)
    whole = run(members, make(), training)
    resumed, _ = train_with_stops(make, members, training, tmp_path, [1, 7, 30, 47, 53])
    assert_same(whole, resumed)


def test_the_weights_of_the_best_step_survive_a_stop(tmp_path: Path) -> None:
    training = short_training(lr=0.3, steps=150, precision="float64")  # too fast: the best step comes early
    members = [member(small_net, 0)]
    whole = run(members, small_net(), training)
    assert whole[0].history.best.step < 100
    assert whole[0].history.at_best["test/accuracy"] != whole[0].history.end["test/accuracy"]
    assert_same(whole, train_with_stops(small_net, members, training, tmp_path, [100])[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("size", [1, 2])
def test_every_optimizer_resumes(name: str, size: int, tmp_path: Path) -> None:
    members = [member(small_net, seed, fill=0.1) for seed in range(size)]
    training = short_training(optimizer=name, clip=0.5, evaluate_every=4)
    whole = run(members, small_net(), training)
    assert_same(whole, train_with_stops(small_net, members, training, tmp_path, [3, 8])[0])


@pytest.mark.parametrize("moments", ["zero", "keep", "restore"])
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("method", SPARSIFIERS)
def test_every_sparsifier_resumes(method: Any, size: int, moments: Any, tmp_path: Path) -> None:
    """Five steps an epoch, changes every other step: the stops lie right before, on and after changes."""
    settings = Sparsifier(method=method, density=0.3, applications=8, moments=moments, begin=0.1, end=0.9)
    training = short_training(
        steps=20, batch_size=190, optimizer="adamw", weight_decay=0.05, clip=0.5, sparsifier=settings,
        traces=["movement_pruning", "moments"],
    )  # fmt: skip
    members = [dense_member(dropout_net, seed) for seed in range(size)]
    whole = run(members, dropout_net(), training)
    assert len(whole[0].history.mask_changes) >= 4
    resumed, _ = train_with_stops(dropout_net, members, training, tmp_path, [1, 2, 5, 8, 9, 15, 18])
    assert_same(whole, resumed)


def test_a_criterion_that_sums_resumes(tmp_path: Path) -> None:
    """Movement pruning within training reads a trace that nobody asked to keep."""
    settings = Sparsifier(density=0.3, applications=4, criterion="movement_pruning")
    members = [dense_member(small_net, seed) for seed in range(2)]
    training = short_training(sparsifier=settings)
    whole = run(members, small_net(), training)
    assert whole[0].traces == {}
    resumed, _ = train_with_stops(small_net, members, training, tmp_path, [3, 6, 9])
    assert_same(whole, resumed)


def test_a_stack_whose_first_member_diverged_resumes(tmp_path: Path) -> None:
    members = [member(small_net, seed) for seed in range(2)]
    members[0].start["1.weight"][0, 0] = float("nan")
    whole = run(members, small_net(), short_training())
    resumed, _ = train_with_stops(small_net, members, short_training(), tmp_path, [3, 7])
    assert resumed[1].history == whole[1].history
    assert_same_bits(resumed[1].weights, whole[1].weights)
    assert resumed[0].history.diverged_at == whole[0].history.diverged_at == 0


def test_a_snapshot_past_a_wanted_checkpoint_is_not_used(tmp_path: Path) -> None:
    """Another study may want a checkpoint that the interrupted one did not: it must not be skipped in silence."""
    members = [member(small_net, 1)]
    with pytest.raises(Interrupted):
        journal = FolderJournal(tmp_path, stop_at=8)
        run(members, small_net(), short_training(), journal=journal, snapshot_seconds=0.0)
    journal = FolderJournal(tmp_path)
    outcomes = run(members, small_net(), short_training(), checkpoints=[3], journal=journal)
    assert list(journal.kept) == [("member-1", 3)]
    assert_same(outcomes, run(members, small_net(), short_training()))


@pytest.mark.parametrize("size", [1, 2])
def test_a_checkpoint_is_the_state_of_that_step(size: int, tmp_path: Path) -> None:
    members = [member(ConvNet, seed) for seed in range(size)]
    journal = FolderJournal(tmp_path)
    run(members, ConvNet(), short_training(), checkpoints=[4, 12], journal=journal)
    outcomes = run(members, ConvNet(), short_training(), until=4)
    for each, outcome in zip(members, outcomes, strict=True):
        assert_same_bits(journal.kept[each.key, 4], outcome.weights)
        assert int(outcome.weights["norm1.num_batches_tracked"]) == 4
        assert not same_bits(journal.kept[each.key, 12]["conv1.weight"], journal.kept[each.key, 4]["conv1.weight"])


def test_rewinding_goes_on_in_the_training_and_the_order(tmp_path: Path) -> None:
    """Plain SGD has no state: from a checkpoint, the rest of the training and of the batches gives the same end."""
    training = short_training(optimizer="sgd", lr=0.1, lr_decay="cosine", warmup=6, steps=80)
    one = member(small_net, 1)
    journal = FolderJournal(tmp_path)
    whole = run([one], small_net(), training, checkpoints=[4, 70], journal=journal)[0]
    for step in (4, 70):
        rewound = Member("rewound", journal.kept[one.key, step], one.masks, one.seeds)
        again = run([rewound], small_net(), training.with_(first_step=step))[0]
        assert_same_bits(again.weights, whole.weights)
        steps = again.history.steps
        assert steps[0] == step
        assert steps[1:] == [each for each in whole.history.steps if each > step]


def test_a_damaged_or_foreign_snapshot_is_named(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        journal = FolderJournal(tmp_path, stop_at=2)
        run([member(small_net, 1)], small_net(), short_training(), journal=journal, snapshot_seconds=0.0)
    path = tmp_path / "member-1"
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    for damaged in (path.read_bytes(), content.replace(FORMAT.encode(), b"lth.snapshot/0"), b"", content[:50]):
        with pytest.raises(ValueError, match=r"member-1 is damaged.*remove it"):
            snapshot_from_bytes(damaged, path.name)


def test_members_of_a_stack_resume_from_the_newest_step_that_all_have(tmp_path: Path) -> None:
    """A kill between two members' writes leaves their last snapshots at different steps."""
    members = [member(small_net, seed) for seed in range(2)]
    training = short_training(steps=40)
    kept: dict[str, list[Snapshot]] = {each.key: [] for each in members}
    for stop in (10, 20):
        with pytest.raises(Interrupted):
            journal = FolderJournal(tmp_path, stop_at=stop)
            run(members, small_net(), training, journal=journal, snapshot_seconds=0.0)
        for each in members:
            kept[each.key][:0] = journal.resume(each.key)
    del kept[members[1].key][0]

    class Kept(FolderJournal):
        def resume(self, key: str) -> list[Snapshot]:
            return kept[key]

    resumed = run(members, small_net(), training, journal=Kept(tmp_path))
    assert [outcome.num_steps for outcome in resumed] == [30, 30]
    assert_same(run(members, small_net(), training), resumed)
