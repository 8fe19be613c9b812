"""Augmented training: drawn from the augmentation seed and the step alone, in training batches alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import (
    ConvNet,
    FolderJournal,
    assert_close,
    assert_same_bits,
    digits,
    member,
    run,
    short_training,
    small_net,
    with_seeds,
)

from lth.config import Recipe, TaskSpec
from lth.data import augmentation_draws, augmented, load_data
from lth.data.order import epoch_order
from lth.models import LeNet300100
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import prepare
from lth.training import Interrupted, Where
from lth.training.engines.sparse.obstacle import sparse_obstacle
from lth.training.engines.torch_engine import TorchEngine

NAMES = ("pad-crop:1", "flip")
CPU = torch.device("cpu")


def engine(*seeds: int, **fields: Any) -> TorchEngine:
    members = [with_seeds(member(small_net, 0), order=0, augmentation=seed) for seed in seeds]
    return TorchEngine(members, small_net(), digits(), short_training(**{"augment": NAMES, **fields}), Where())


def test_batches_are_those_made_by_hand() -> None:
    made = engine(5)
    for step in (0, 3, 50):
        epoch, position = divmod(step, len(digits()["train"]) // 20)
        chosen = epoch_order(len(digits()["train"]), 0, epoch)[20 * position : 20 * position + 20]
        plain = digits()["train"].take(chosen, CPU)
        batch = made._batch(step)
        draws = [each[0] for each in augmentation_draws(NAMES, [5], step, 20)]
        assert torch.equal(batch["x"], augmented(plain["x"], NAMES, draws))
        assert not torch.equal(batch["x"], plain["x"])
        assert torch.equal(batch["y"], plain["y"])


def test_two_seeds_differ_in_augmentation_alone() -> None:
    one, other, plain = engine(1), engine(2), engine(1, augment=())
    assert not torch.equal(one._batch(0)["x"], other._batch(0)["x"])
    assert torch.equal(one._batch(0)["y"], other._batch(0)["y"])  # the same examples in the same order
    stacked = engine(1, 2)._batch(0)
    assert torch.equal(stacked["x"][0], one._batch(0)["x"])
    assert torch.equal(stacked["x"][1], other._batch(0)["x"])
    assert one.evaluate("validation") == plain.evaluate("validation") == other.evaluate("validation")


def test_stop_and_resume_equals_never_stopping(tmp_path: Path) -> None:
    training = short_training(augment=NAMES, steps=60, evaluate_every=10)
    one = member(ConvNet, 0)
    [whole] = run([one], ConvNet(), training)
    for stop in (7, 53):  # before and after the end of an epoch
        with pytest.raises(Interrupted):
            run([one], ConvNet(), training, journal=FolderJournal(tmp_path, stop_at=stop), snapshot_seconds=0.0)
    [resumed] = run([one], ConvNet(), training, journal=FolderJournal(tmp_path), snapshot_seconds=0.0)
    assert_same_bits(whole.weights, resumed.weights)
    [plain] = run([one], ConvNet(), training.with_(augment=()))
    assert not torch.equal(plain.weights["output.weight"], whole.weights["output.weight"])


def test_a_stack_equals_its_members_trained_alone() -> None:
    training = short_training(augment=NAMES, steps=8, evaluate_every=4, precision="float64", lr=3e-3)
    members = [member(ConvNet, seed) for seed in range(3)]
    for each, outcome in zip(members, run(members, ConvNet(), training), strict=True):
        assert_close(outcome, run([each], ConvNet(), training)[0])


def test_passes_of_a_batch_see_the_same_images() -> None:
    training = short_training(augment=NAMES, precision="float64", lr=1e-3)
    one = member(small_net, 0)
    [whole], [cut] = (run([one], small_net(), training, micro_batch=size) for size in (None, 6))
    assert_close(whole, cut)


def test_it_is_the_recipes_and_the_sparse_engine_names_it() -> None:
    recipe = Recipe(augment="pad-crop:2,flip")  # type: ignore[arg-type]
    training = recipe.training(recipe.clock(100), TaskSpec())
    assert training.augment == ("pad-crop:2", "flip")
    found = sparse_obstacle(LeNet300100((8, 8)), training, 1, CPU)
    assert found == "images are augmented at every step (pad-crop:2, flip)"
    assert sparse_obstacle(LeNet300100((8, 8)), training.with_(augment=()), 1, CPU) is None


def test_a_training_function_of_ones_own_does_not_see_it() -> None:
    recipe = Recipe(train="here:train", augment=("flip",))
    with pytest.warns(
        UserWarning, match=r"augment \('flip',\): your own training function \(train\) changes its batch"
    ):
        assert recipe.without_idle().augment == ()


def test_studies_check_it_before_anything_is_trained() -> None:
    settings = settings_of(STUDIES["train"], {"data": "digits", "augment": "flop"})
    with pytest.raises(ValueError, match="unknown augmentation 'flop'"):
        prepare(STUDIES["train"], settings, LeNet300100, load_data("digits"))
    settings = settings_of(STUDIES["train"], {"data": "diabetes", "augment": "flip"})
    with pytest.raises(ValueError, match=r"'flip' is for images, and these examples have the shape \(10,\)"):
        prepare(STUDIES["train"], settings, LeNet300100, load_data("diabetes"))
