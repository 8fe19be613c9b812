"""Killed and resumed, or cut anywhere: the sparse engine gives the same bits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sparse_trainings import train_one, train_with_stops
from trainings import FolderJournal, Make, assert_same_bits, digits_split, dropout_net, member, recipe, small_net

from lth.config import Recipe
from lth.training import Interrupted, Member, Outcome
from lth.training.engines import ENGINES, Engine

STOPS = [1, 7, 30, 63, 71]
"""Before and after an epoch's end, which is after 66 steps, on an evaluation and between two."""

FIELDS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam"},
    "momentum": {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9, "dampening": 0.2}, "lr": 0.05},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.05, "clip": 0.5},
    "decay": {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "lr": 0.05, "weight_decay": 0.05},
    "plain": {"optimizer": "sgd", "lr": 0.05},
}


def schedule_of(name: str, **more: Any) -> Recipe:
    return recipe(duration="80it", evaluate_every=10, lr_decay="cosine", warmup="5it", **FIELDS[name], **more)


def assert_same(left: Outcome, right: Outcome) -> None:
    assert_same_bits(left.weights, right.weights)
    assert left.metrics == right.metrics
    assert left.traces.keys() == right.traces.keys()
    for kind, values in left.traces.items():
        assert_same_bits(values, right.traces[kind])


@pytest.mark.parametrize(
    ("name", "make", "density"),
    [*((name, dropout_net, 0.3) for name in FIELDS), ("adam", small_net, None), ("momentum", small_net, None)],
)
def test_stop_and_resume_equals_never_stopping(name: str, make: Make, density: float | None, tmp_path: Path) -> None:
    one = member(make, 1, density=density)
    whole = train_one(one, make(), digits_split(), schedule_of(name), traces=["moments"])
    resumed = train_with_stops(one, make, digits_split(), schedule_of(name), tmp_path, STOPS, traces=["moments"])
    assert_same(whole, resumed)


@pytest.mark.parametrize("name", FIELDS)
def test_what_rests_at_a_value_survives_a_stop(name: str, tmp_path: Path) -> None:
    """Weight decay fills the moments of pruned entries that are not zero; they come back too."""
    one = member(dropout_net, 1, fill=0.1)
    whole = train_one(one, dropout_net(), digits_split(), schedule_of(name), traces=["moments"])
    resumed = train_with_stops(
        one, dropout_net, digits_split(), schedule_of(name), tmp_path, [7, 40], traces=["moments"]
    )
    assert_same(whole, resumed)


def test_the_weights_of_the_early_stopping_iteration_survive_a_stop(tmp_path: Path) -> None:
    schedule = recipe(lr=0.2, duration="150it")  # too fast: the lowest validation loss comes early
    one = member(small_net, 0)
    whole = train_one(one, small_net(), digits_split(), schedule)
    assert whole.metrics["early_stop_iteration"] < 100
    assert whole.metrics["early_stop_test_accuracy"] != whole.metrics["test_accuracy"]
    assert_same(whole, train_with_stops(one, small_net, digits_split(), schedule, tmp_path, [100]))


@pytest.mark.parametrize(("before", "after"), [("torch", "sparse"), ("sparse", "torch")])
def test_a_snapshot_of_the_other_engine_is_not_taken(before: str, after: str, tmp_path: Path) -> None:
    """It would go on with other numbers: the training starts over."""
    one, schedule = member(small_net, 1), recipe()
    with pytest.raises(Interrupted):
        journal = FolderJournal(tmp_path, stop_at=8)
        train_one(one, small_net(), digits_split(), schedule, journal=journal, snapshot_seconds=0.0, engine=before)
    assert (tmp_path / "member-1").exists()
    outcome = train_one(one, small_net(), digits_split(), schedule, journal=FolderJournal(tmp_path), engine=after)
    assert (outcome.num_steps, outcome.engine) == (schedule.steps, after)
    assert_same(outcome, train_one(one, small_net(), digits_split(), schedule, engine=after))


def test_checkpoints_are_the_states_of_their_steps(tmp_path: Path) -> None:
    one, journal = member(dropout_net, 1), FolderJournal(tmp_path)
    train_one(one, dropout_net(), digits_split(), recipe(), checkpoints=[4, 12], journal=journal)
    for step in (4, 12):
        part = train_one(one, dropout_net(), digits_split(), recipe(), until=step)
        assert_same_bits(journal.checkpoints[one.key, step], part.weights)


def test_rewinding_goes_on_in_the_schedule_and_the_order(tmp_path: Path) -> None:
    """Plain SGD has no state: from a checkpoint, the rest gives the same end; dropout's draws go on too."""
    one, journal, schedule = member(dropout_net, 1), FolderJournal(tmp_path), schedule_of("plain")
    whole = train_one(one, dropout_net(), digits_split(), schedule, checkpoints=[4, 70], journal=journal)
    for step in (4, 70):
        rewound = Member("rewound", journal.checkpoints[one.key, step], one.masks, one.seeds)
        again = train_one(rewound, dropout_net(), digits_split(), schedule, first_step=step)
        assert_same_bits(again.weights, whole.weights)


def engine_of(one: Member, make: Make, schedule: Recipe) -> Engine:
    return ENGINES["sparse"](
        [one], make(), digits_split(), schedule, first_step=0, device=torch.device("cpu"), sparsifier=None, traces=()
    )


@settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.sampled_from([13, 90]),
    st.sampled_from([small_net, dropout_net]),
)
def test_numbers_do_not_depend_on_how_a_training_is_cut(cuts: list[int], batch: int, make: Make) -> None:
    """With evaluations in between, across epochs, in batches of one part and of two."""
    schedule = recipe(batch_size=batch, precision="float64", duration="400it", lr_decay="linear")
    one, total = member(make, 3, density=0.4), sum(cuts)
    whole, cut = engine_of(one, make, schedule), engine_of(one, make, schedule)
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
        train_one(one, dropout_net(), digits_split(), recipe(duration="50it", evaluate_every=every))
        for every in (1, 1000)
    )
    assert_same_bits(often.weights, never.weights)
    watched = train_one(
        one,
        dropout_net(),
        digits_split(),
        recipe(duration="50it"),
        journal=FolderJournal(tmp_path),
        snapshot_seconds=0.0,
    )
    assert_same_bits(often.weights, watched.weights)
