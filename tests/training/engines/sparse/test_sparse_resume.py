"""Killed and resumed, or cut anywhere: the sparse engine gives the same bits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sparse_trainings import train_one, train_with_stops
from trainings import (
    FolderJournal,
    Make,
    assert_same,
    assert_same_bits,
    digits,
    dropout_net,
    member,
    short_training,
    small_net,
)

from lth.config import Training
from lth.training import Interrupted, Member, Where
from lth.training.engines import ENGINES, Engine

STOPS = [1, 7, 30, 47, 53]
"""Before and after an epoch's end, which is after 48 steps, on an evaluation and between two."""

FIELDS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam"},
    "momentum": {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9, "dampening": 0.2}, "lr": 0.05},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.05, "clip": 0.5},
    "decay": {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "lr": 0.05, "weight_decay": 0.05},
    "plain": {"optimizer": "sgd", "lr": 0.05},
}


def training_of(name: str) -> Training:
    return short_training(steps=80, evaluate_every=10, lr_decay="cosine", warmup=5, **FIELDS[name], traces=["moments"])


@pytest.mark.parametrize(
    ("name", "make", "density"),
    [*((name, dropout_net, 0.3) for name in FIELDS), ("adam", small_net, None), ("momentum", small_net, None)],
)
def test_stop_and_resume_equals_never_stopping(name: str, make: Make, density: float | None, tmp_path: Path) -> None:
    one = member(make, 1, density=density)
    whole = train_one(one, make(), training_of(name))
    resumed = train_with_stops(one, make, training_of(name), tmp_path, STOPS)
    assert_same([whole], [resumed])


@pytest.mark.parametrize("name", FIELDS)
def test_what_rests_at_a_value_survives_a_stop(name: str, tmp_path: Path) -> None:
    """Weight decay fills the moments of pruned entries that are not zero; they come back too."""
    one = member(dropout_net, 1, fill=0.1)
    whole = train_one(one, dropout_net(), training_of(name))
    resumed = train_with_stops(one, dropout_net, training_of(name), tmp_path, [7, 40])
    assert_same([whole], [resumed])


def test_the_weights_of_the_best_step_survive_a_stop(tmp_path: Path) -> None:
    training = short_training(lr=0.3, steps=150)  # too fast: the best step comes early
    one = member(small_net, 0)
    whole = train_one(one, small_net(), training)
    assert whole.history.best.step < 100
    assert whole.history.at_best["test/accuracy"] != whole.history.end["test/accuracy"]
    assert_same([whole], [train_with_stops(one, small_net, training, tmp_path, [100])])


@pytest.mark.parametrize(("before", "after"), [("torch", "sparse"), ("sparse", "torch")])
def test_a_snapshot_of_the_other_engine_is_not_taken(before: str, after: str, tmp_path: Path) -> None:
    """It would go on with other numbers: the training starts over."""
    one, training = member(small_net, 1), short_training()
    with pytest.raises(Interrupted):
        journal = FolderJournal(tmp_path, stop_at=8)
        train_one(one, small_net(), training, journal=journal, snapshot_seconds=0.0, engine=before)
    assert (tmp_path / "member-1").exists()
    outcome = train_one(one, small_net(), training, journal=FolderJournal(tmp_path), engine=after)
    assert (outcome.num_steps, outcome.engine) == (training.steps, after)
    assert_same([outcome], [train_one(one, small_net(), training, engine=after)])


def test_checkpoints_are_the_states_of_their_steps(tmp_path: Path) -> None:
    one, journal = member(dropout_net, 1), FolderJournal(tmp_path)
    train_one(one, dropout_net(), short_training(), checkpoints=[4, 12], journal=journal)
    for step in (4, 12):
        part = train_one(one, dropout_net(), short_training(), until=step)
        assert_same_bits(journal.kept[one.key, step], part.weights)


def test_rewinding_goes_on_in_the_training_and_the_order(tmp_path: Path) -> None:
    """Plain SGD has no state: from a checkpoint, the rest gives the same end; dropout's draws go on too."""
    one, journal, training = member(dropout_net, 1), FolderJournal(tmp_path), training_of("plain")
    whole = train_one(one, dropout_net(), training, checkpoints=[4, 70], journal=journal)
    for step in (4, 70):
        rewound = Member("rewound", journal.kept[one.key, step], one.masks, one.seeds)
        again = train_one(rewound, dropout_net(), training.with_(first_step=step))
        assert_same_bits(again.weights, whole.weights)


def engine_of(one: Member, make: Make, training: Training) -> Engine:
    return ENGINES["sparse"].make([one], make(), digits(), training, Where())


@settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.sampled_from([13, 90]),
    st.sampled_from([small_net, dropout_net]),
)
def test_numbers_do_not_depend_on_how_a_training_is_cut(cuts: list[int], batch: int, make: Make) -> None:
    """With evaluations in between, across epochs, in batches of one part and of two."""
    training = short_training(batch_size=batch, precision="float64", steps=400, lr_decay="linear")
    one, total = member(make, 3, density=0.4), sum(cuts)
    whole, cut = engine_of(one, make, training), engine_of(one, make, training)
    losses, step = [], 0
    for count in cuts:
        losses.append(cut.advance(step, count))
        cut.evaluate("validation")
        step += count
    assert torch.equal(whole.advance(0, total), torch.cat(losses))
    assert_same_bits(whole.state_of(0), cut.state_of(0))
    assert whole.evaluate("test") == cut.evaluate("test")


def test_evaluation_and_journal_do_not_touch_training(tmp_path: Path) -> None:
    one = member(dropout_net, 1)
    often, never = (
        train_one(one, dropout_net(), short_training(steps=50, evaluate_every=every)) for every in (1, 1000)
    )
    assert_same_bits(often.weights, never.weights)
    watched = train_one(
        one, dropout_net(), short_training(steps=50), journal=FolderJournal(tmp_path), snapshot_seconds=0.0
    )
    assert_same_bits(often.weights, watched.weights)
