"""What a training measures, what it must not touch, and the curve that guards the engine."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from trainings import FolderJournal, assert_same_bits, digits_split, dropout_net, lenet, member, recipe, small_net

from lth.training import History, Member, Seeds, train
from lth.training.population import Population

GOLDEN = {0: 2.3022521, 10: 2.1035426, 20: 1.8843341, 30: 1.5756492, 40: 1.2112145}


def test_golden_loss_curve() -> None:
    """In float64, so that it holds on every machine. If it moves, the numbers have changed: raise `Trained.version`."""
    schedule = recipe(batch_size=60, duration="40it", evaluate_every=10, lr=1.2e-3, precision="float64", clip=2.0)
    metrics = train([member(lenet, 0)], lenet(), digits_split(), schedule)[0].metrics
    assert dict(zip(metrics["iterations"], metrics["validation_loss"], strict=True)) == pytest.approx(GOLDEN, abs=1e-5)
    assert metrics["early_stop_iteration"] == 40


@pytest.mark.parametrize("engine", ["torch", "sparse"])
def test_too_few_examples_are_one_line(engine: str) -> None:
    split = digits_split()
    with pytest.raises(ValueError, match=r"batch size 99999 is larger than the \d+ training examples: take less$"):
        train([member(lenet, 0)], lenet(), split, recipe(batch_size=99_999, duration="1it"), engine=engine)
    empty = dataclasses.replace(split, x_validation=split.x_validation[:0], y_validation=split.y_validation[:0])
    with pytest.raises(ValueError, match="found 0 examples to validate with and 360 to test with"):
        train([member(lenet, 0)], lenet(), empty, recipe(), engine=engine)


def test_training_loss_is_the_mean_since_the_last_evaluation(tmp_path: Path) -> None:
    every_step = train([member(small_net, 1)], small_net(), digits_split(), recipe(evaluate_every=1))[0].metrics
    metrics = train([member(small_net, 1)], small_net(), digits_split(), recipe(evaluate_every=5))[0].metrics
    losses = every_step["train_loss"]
    assert metrics["iterations"] == [0, 5, 10, 12]
    assert metrics["train_loss"][0] is None
    wanted = [sum(losses[1:6]) / 5, sum(losses[6:11]) / 5, sum(losses[11:13]) / 2]
    assert metrics["train_loss"][1:] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("size", [1, 2])
def test_early_stopping_iteration_is_the_argmin_of_validation_loss(size: int) -> None:
    """And the test accuracy noted for it is that of its weights, whatever the rest of the stack did."""
    members = [member(small_net, seed) for seed in range(size)]
    schedule = recipe(lr=0.2, duration="150it", precision="float64")  # too fast: the validation loss rises again
    earliest = set()
    for each, outcome in zip(members, train(members, small_net(), digits_split(), schedule), strict=True):
        losses, iterations = outcome.metrics["validation_loss"], outcome.metrics["iterations"]
        early = iterations[losses.index(min(losses))]
        assert 0 < early < 150
        assert (outcome.metrics["early_stop_iteration"], outcome.metrics["minimum_validation_loss"]) == (
            early,
            min(losses),
        )
        module = small_net().double().eval()
        module.load_state_dict(train([each], small_net(), digits_split(), schedule, until=early)[0].weights)
        correct = module(digits_split().x_test.double()).argmax(1) == digits_split().y_test
        assert outcome.metrics["early_stop_test_accuracy"] == pytest.approx(float(correct.double().mean()), abs=1e-12)
        assert outcome.metrics["early_stop_test_accuracy"] != outcome.metrics["test_accuracy"]
        earliest.add(early)
    assert len(earliest) == size


def test_the_first_of_equal_minima_counts() -> None:
    history = History()
    assert [history.add(step, loss, 0.5, None) for step, loss in ((0, 2.0), (10, 1.0), (20, 1.0))] == [
        True,
        True,
        False,
    ]
    assert (history.early_stop_iteration, history.minimum_validation_loss) == (10, 1.0)


def test_evaluation_does_not_touch_training(tmp_path: Path) -> None:
    often = train([member(dropout_net, 1)], dropout_net(), digits_split(), recipe(duration="50it", evaluate_every=1))
    never = train([member(dropout_net, 1)], dropout_net(), digits_split(), recipe(duration="50it", evaluate_every=1000))
    assert_same_bits(often[0].weights, never[0].weights)


def test_the_test_set_changes_nothing_but_the_test_scores() -> None:
    split = digits_split()
    other = dataclasses.replace(split, x_test=torch.rand_like(split.x_test), y_test=split.y_test.flip(0))
    one, two = (train([member(lenet, 1)], lenet(), each, recipe())[0] for each in (split, other))
    assert_same_bits(one.weights, two.weights)
    differing = {name for name in one.metrics if one.metrics[name] != two.metrics[name]}
    assert differing == {"test_loss", "test_accuracy", "early_stop_test_accuracy"}


def test_the_test_set_is_read_once_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for the final weights and once for those of the early-stopping iteration; not at all by a part."""
    read: list[int] = []
    evaluate = Population.evaluate

    def noting(self: Population, inputs: Tensor, labels: Tensor) -> Any:
        read.append(len(labels))
        return evaluate(self, inputs, labels)

    monkeypatch.setattr(Population, "evaluate", noting)
    assert (len(digits_split().y_validation), len(digits_split().y_test)) == (100, 360)
    train([member(small_net, 1), member(small_net, 2)], small_net(), digits_split(), recipe())
    assert read == [100, 100, 100, 100, 360, 360]
    read.clear()
    part = train([member(small_net, 1)], small_net(), digits_split(), recipe(), until=7)[0]
    assert read == [100, 100, 100]
    assert part.metrics["test_accuracy"] is None


@pytest.mark.parametrize("role", ["order", "augmentation", "init"])
def test_each_seed_alone(role: str) -> None:
    """The order seed changes the batches, the augmentation seed the dropout; the init seed lies in the start."""
    one = member(dropout_net, 1)
    other = Member(one.key, one.start, one.masks, one.seeds.model_copy(update={role: 99}))
    weights = [
        train([each], dropout_net(), digits_split(), recipe())[0].weights["4.weight"] for each in (one, one, other)
    ]
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2]) == (role == "init")
    plain, shifted = (dataclasses.replace(member(small_net, 1), seeds=each.seeds) for each in (one, other))
    weights = [train([each], small_net(), digits_split(), recipe())[0].weights["3.weight"] for each in (plain, shifted)]
    assert torch.equal(weights[0], weights[1]) == (role != "order")


def test_the_global_generator_is_left_alone() -> None:
    one, module = member(dropout_net, 1), dropout_net()
    before = torch.get_rng_state()
    train([one], module, digits_split(), recipe())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    one = train([member(dropout_net, 1)], dropout_net(), digits_split(), recipe())[0].weights
    torch.manual_seed(6)
    assert_same_bits(one, train([member(dropout_net, 1)], dropout_net(), digits_split(), recipe())[0].weights)


def test_learning_rate_follows_the_schedule(tmp_path: Path) -> None:
    """One SGD step from a rewind point is as long as the schedule says, and half as long at half the peak."""
    schedule = recipe(optimizer="sgd", lr=0.1, warmup="4it", lr_decay="step", lr_milestones="8it", duration="12it")
    journal = FolderJournal(tmp_path)
    one = member(small_net, 1, density=None)
    half = recipe(**{**schedule.model_dump(), "lr": 0.05})
    for step in (0, 2, 5, 8):
        moves = []
        for each in (schedule, half):
            start = train([one], small_net(), digits_split(), schedule, until=step)[0].weights if step else one.start
            rewound = Member("one", start, {}, one.seeds)
            end = train([rewound], small_net(), digits_split(), each, first_step=step, until=step + 1, journal=journal)[
                0
            ]
            moves.append(end.weights["3.weight"] - start["3.weight"])
        torch.testing.assert_close(moves[0], 2 * moves[1], rtol=1e-3, atol=1e-7)
        flat = recipe(optimizer="sgd", lr=schedule.lr_at(step), duration="12it")
        end = train([rewound], small_net(), digits_split(), flat, first_step=step, until=step + 1)[0]
        assert torch.equal(end.weights["3.weight"] - start["3.weight"], moves[0])
    assert [schedule.lr_at(step) for step in (0, 2, 5, 8)] == pytest.approx([0.025, 0.075, 0.1, 0.01])


def test_a_start_that_does_not_fit_is_an_error() -> None:
    start = dict(member(small_net, 1).start)
    start["1.weight"] = start["1.weight"][:5]
    with pytest.raises(ValueError, match=r"do not fit the model: 1\.weight differ"):
        train([Member("one", start, {}, Seeds(init=1, order=1, augmentation=1))], small_net(), digits_split(), recipe())
