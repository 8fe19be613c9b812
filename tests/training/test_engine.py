"""What a training measures, what it must not touch, and the curve that guards the engine."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from trainings import (
    assert_same_bits,
    digits,
    dropout_net,
    language_model,
    lenet,
    member,
    run,
    short_training,
    small_net,
    token_net,
    tokens,
    with_part,
    with_seeds,
    x_and_y,
)

from lth.data import Examples
from lth.tasks import TASKS, Classification
from lth.training import Member, Seeds, read_history
from lth.training import population as population_module
from lth.training.history import Best, History
from lth.training.population import Population

GOLDEN = {0: 2.3103597, 10: 2.1058784, 20: 1.8466822, 30: 1.5023198, 40: 1.1201695}


def test_golden_loss_curve() -> None:
    """In float64, so that it holds on every machine. If it moves, the numbers have changed: raise `Trained.version`."""
    training = short_training(batch_size=60, steps=40, evaluate_every=10, lr=1.2e-3, precision="float64", clip=2.0)
    history = run([member(lenet, 0)], lenet(), training)[0].history
    assert dict(zip(history.steps, history.curves["validation/loss"], strict=True)) == pytest.approx(GOLDEN, abs=1e-5)
    assert history.best.step == 40


@pytest.mark.parametrize("engine", ["torch", "sparse"])
def test_too_few_examples_are_one_line(engine: str) -> None:
    with pytest.raises(ValueError, match=r"batch size 99999 is larger than the \d+ training examples: take less$"):
        run([member(lenet, 0)], lenet(), short_training(batch_size=99_999, steps=1), engine=engine)
    x, y = x_and_y(digits()["validation"])
    empty = with_part(digits(), "validation", x[:0], y[:0])
    with pytest.raises(ValueError, match="there are 0 examples to validate with and 719 to test with: at least one"):
        run([member(lenet, 0)], lenet(), short_training(), parts=empty, engine=engine)


def test_training_loss_is_the_mean_since_the_last_evaluation() -> None:
    every_step = run([member(small_net, 1)], small_net(), short_training(evaluate_every=1))[0].history
    history = run([member(small_net, 1)], small_net(), short_training(evaluate_every=5))[0].history
    losses = every_step.curves["train/loss"]
    assert history.steps == [0, 5, 10, 12]
    assert history.curves["train/loss"][0] is None
    wanted = [sum(losses[1:6]) / 5, sum(losses[6:11]) / 5, sum(losses[11:13]) / 2]
    assert history.curves["train/loss"][1:] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("size", [1, 2])
def test_the_best_step_is_the_argmin_of_validation_loss(size: int) -> None:
    """And the test accuracy noted for it is that of its weights, whatever the rest of the stack did."""
    members = [member(small_net, seed) for seed in range(size)]
    training = short_training(lr=0.2, steps=150, precision="float64")  # too fast: the validation loss rises again
    earliest = set()
    for each, outcome in zip(members, run(members, small_net(), training), strict=True):
        losses, steps = outcome.history.curves["validation/loss"], outcome.history.steps
        early = steps[losses.index(min(losses))]
        assert 0 < early < 150
        assert outcome.history.best == Best(step=early, value=min(losses), by="validation/loss")
        module = small_net().double().eval()
        module.load_state_dict(run([each], small_net(), training, until=early)[0].weights)
        x, y = x_and_y(digits()["test"])
        correct = module(x.double()).argmax(1) == y
        assert outcome.history.at_best["test/accuracy"] == pytest.approx(float(correct.double().mean()), abs=1e-12)
        assert outcome.history.at_best["test/accuracy"] != outcome.history.end["test/accuracy"]
        earliest.add(early)
    assert len(earliest) == size


@pytest.mark.parametrize(("stop_by", "sign", "values"), [("loss", -1, (2.0, 1.0, 1.0)), ("r2", 1, (-0.5, 0.5, 0.5))])
def test_the_first_of_equally_good_steps_counts(stop_by: str, sign: int, values: tuple[float, ...]) -> None:
    """Whether less is better, or more."""
    history = History()
    measured = [
        history.add(10 * index, {stop_by: value, "other": 0.0}, None, stop_by, sign)
        for index, value in enumerate(values)
    ]
    assert measured == [True, True, False]
    assert history.best == Best(step=10, value=values[1], by=f"validation/{stop_by}")
    assert history.curves == {
        f"validation/{stop_by}": list(values), "validation/other": [0.0] * 3, "train/loss": [None] * 3,
    }  # fmt: skip
    assert not history.add(30, {stop_by: float("nan"), "other": 0.0}, 1.0, stop_by, sign)
    assert (history.diverged_at, history.steps, history.best.step) == (30, [0, 10, 20], 10)
    assert read_history(history.document()) == history


@dataclass(frozen=True)
class ByAccuracy(Classification):
    """Classification whose best step is the one where the most is right."""

    stop_by: ClassVar[str] = "accuracy"


def test_a_task_may_stop_where_more_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "by-accuracy", ByAccuracy)
    one, training = member(small_net, 0), short_training(lr=0.2, steps=100)
    by_loss = run([one], small_net(), training)[0].history
    task = training.task.model_copy(update={"name": "by-accuracy"})
    history = run([one], small_net(), training.with_(task=task))[0].history
    values = history.curves["validation/accuracy"]
    assert history.curves == by_loss.curves
    best = history.steps[values.index(max(values))]
    assert history.best == Best(step=best, value=max(values), by="validation/accuracy")
    assert best != by_loss.best.step


def test_histories_of_another_format_are_refused() -> None:
    with pytest.raises(ValueError, match=r"these metrics have format 'lth.metrics/0'; this lth reads 'lth.metrics/1'"):
        read_history({**History().document(), "format": "lth.metrics/0"})


def test_evaluation_does_not_touch_training() -> None:
    often = run([member(dropout_net, 1)], dropout_net(), short_training(steps=50, evaluate_every=1))
    never = run([member(dropout_net, 1)], dropout_net(), short_training(steps=50, evaluate_every=1000))
    assert_same_bits(often[0].weights, never[0].weights)


def test_the_test_set_changes_nothing_but_the_test_scores() -> None:
    x, y = x_and_y(digits()["test"])
    other = with_part(digits(), "test", torch.rand_like(x), y.flip(0))
    one, two = (run([member(lenet, 1)], lenet(), short_training(), parts=each)[0] for each in (digits(), other))
    assert_same_bits(one.weights, two.weights)
    before, after = one.history.model_dump(), two.history.model_dump()
    assert {name for name in before if before[name] != after[name]} == {"end", "at_best"}


def test_every_part_of_tests_is_read_at_the_end() -> None:
    x, y = x_and_y(digits()["test"])
    more = with_part(digits(), "test-shifted", x + 1, y)
    history = run([member(lenet, 1)], lenet(), short_training(), parts=more)[0].history
    for values in (history.end, history.at_best):
        assert {"test/loss", "test/accuracy", "test-shifted/loss", "test-shifted/accuracy"} < values.keys()
        assert values["test-shifted/loss"] != values["test/loss"]


def test_the_test_set_is_read_once_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for the weights of the end and once for those of the best step; not at all by a training that ends early."""
    read: list[int] = []
    evaluate = Population.evaluate

    def noting(self: Population, examples: Examples, *ranks: Any) -> Any:
        read.append(len(examples))
        return evaluate(self, examples, *ranks)

    monkeypatch.setattr(Population, "evaluate", noting)
    assert (len(digits()["validation"]), len(digits()["test"])) == (100, 719)
    run([member(small_net, 1), member(small_net, 2)], small_net(), short_training())
    assert read == [100, 100, 100, 100, 719, 719]
    read.clear()
    part = run([member(small_net, 1)], small_net(), short_training(), until=7)[0]
    assert read == [100, 100, 100]
    assert (part.history.end, part.history.at_best) == ({}, {})


@pytest.mark.parametrize("role", ["order", "augmentation", "init"])
def test_each_seed_alone(role: str) -> None:
    """The order seed changes the batches, the augmentation seed the dropout; the init seed lies in the start."""
    one = member(dropout_net, 1)
    other = with_seeds(one, **{role: 99})
    weights = [run([each], dropout_net(), short_training())[0].weights["4.weight"] for each in (one, one, other)]
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2]) == (role == "init")
    plain, shifted = (replace(member(small_net, 1), seeds=each.seeds) for each in (one, other))
    weights = [run([each], small_net(), short_training())[0].weights["3.weight"] for each in (plain, shifted)]
    assert torch.equal(weights[0], weights[1]) == (role != "order")


def test_the_global_generator_is_left_alone() -> None:
    one, module = member(dropout_net, 1), dropout_net()
    before = torch.get_rng_state()
    run([one], module, short_training())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    one = run([member(dropout_net, 1)], dropout_net(), short_training())[0].weights
    torch.manual_seed(6)
    assert_same_bits(one, run([member(dropout_net, 1)], dropout_net(), short_training())[0].weights)


def test_learning_rate_follows_the_schedule() -> None:
    """One SGD step from a rewind point is as long as the schedule says, and half as long at half the peak."""
    training = short_training(optimizer="sgd", lr=0.1, warmup=4, lr_decay="step", lr_milestones=(8,), steps=12)
    one, half = member(small_net, 1, density=None), training.with_(lr=0.05)
    for step in (0, 2, 5, 8):
        moves = []
        for each in (training, half):
            start = run([one], small_net(), training, until=step)[0].weights if step else one.start
            rewound = Member("one", start, {}, one.seeds)
            end = run([rewound], small_net(), each.with_(first_step=step), until=step + 1)[0]
            moves.append(end.weights["3.weight"] - start["3.weight"])
        torch.testing.assert_close(moves[0], 2 * moves[1], rtol=1e-3, atol=1e-7)
        flat = short_training(optimizer="sgd", lr=training.lr_at(step), steps=12)
        end = run([rewound], small_net(), flat.with_(first_step=step), until=step + 1)[0]
        assert torch.equal(end.weights["3.weight"] - start["3.weight"], moves[0])
    assert [training.lr_at(step) for step in (0, 2, 5, 8)] == pytest.approx([0.025, 0.075, 0.1, 0.01])


def test_a_start_that_does_not_fit_is_an_error() -> None:
    start = dict(member(small_net, 1).start)
    start["1.weight"] = start["1.weight"][:5]
    with pytest.raises(ValueError, match=r"do not fit the model: 1\.weight differ"):
        run([Member("one", start, {}, Seeds(init=1, order=1, augmentation=1))], small_net(), short_training())


def test_evaluations_of_long_examples_go_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary of outputs for each of many tokens would not fit into memory."""
    monkeypatch.setattr(population_module, "EVALUATION_TARGETS", 20)
    parts, seen = tokens(), []

    class Noting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = token_net()

        def forward(self, ids: Tensor) -> Tensor:
            if not self.training:
                seen.append(ids.numel())
            return self.layers(ids)

    length = parts["test"].take(torch.tensor([0]), torch.device("cpu"))["y"].numel()
    run([member(Noting, 1)], Noting(), short_training(task=language_model(), steps=2), parts=parts)
    assert max(seen) <= max(20, length)
