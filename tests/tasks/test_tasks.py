"""Tasks: metrics against other programs, tallies that add up, losses of stacks, and baselines that look at nothing."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score, recall_score
from torch import Tensor

from lth.config import TaskSpec
from lth.tasks import (
    TASKS,
    Batch,
    Classification,
    LanguageModel,
    MaskedLanguageModel,
    Metric,
    Regression,
    SequenceClassification,
    SequenceRegression,
    Task,
    make_task,
    unwrapped,
)
from lth.tasks.task import called, total


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def classes(rows: int = 50, seed: int = 1) -> Batch:
    labels = torch.randint(0, 4, (rows,), generator=torch.Generator().manual_seed(seed))
    return {"x": drawn(rows, 3), "y": labels}


def numbers(rows: int = 50, shape: tuple[int, ...] = (2,)) -> Batch:
    return {"x": drawn(rows, 3), "y": drawn(rows, *shape, seed=1) * 3 + 100}


def tokens(rows: int = 50) -> Batch:
    stream = torch.randint(0, 6, (rows, 9), generator=torch.Generator().manual_seed(1)).clamp(max=4)
    targets = stream[:, 1:].clone()
    targets[: rows // 2, -3:] = -100
    return {"x": stream[:, :-1].contiguous(), "y": targets}


def masked() -> Batch:
    """Every token is asked for in one of seven places or so."""
    batch = tokens()
    is_asked = torch.rand(batch["y"].shape, generator=torch.Generator().manual_seed(3)) < 0.15
    return {"x": batch["x"], "y": batch["x"].masked_fill(~is_asked, -100)}


Case = tuple[Task, Batch, Tensor]


def cases() -> dict[str, Case]:
    """A task, a batch of 50 examples and outputs for it."""
    return {
        "cross_entropy": (Classification(4), classes(), drawn(50, 4, seed=2)),
        "mean_squared_error": (Classification(4, "mean_squared_error"), classes(), drawn(50, 4, seed=2)),
        "padded classes": (Classification(4), classes(), drawn(50, 7, seed=2)),
        "regression": (Regression(), numbers(), drawn(50, 2, seed=2) + 100),
        "one target": (Regression(), numbers(shape=()), drawn(50, 1, seed=2) + 100),
        "language-model": (LanguageModel(5, bytes_per_token=1.5), tokens(), drawn(50, 8, 5, seed=2)),
        "sequence-classification": (
            SequenceClassification(2, measures=("f1", "accuracy", "matthews")),
            {"x": drawn(50, 3), "y": classes()["y"] % 2},
            drawn(50, 2, seed=2),
        ),
        "many classes": (
            SequenceClassification(4, "mean_squared_error", measures=("matthews", "accuracy")),
            classes(),
            drawn(50, 6, seed=2),
        ),
        "sequence-regression": (SequenceRegression(), numbers(shape=(1,)), drawn(50, 1, seed=2) + 100),
        "masked-language-model": (MaskedLanguageModel(5), masked(), drawn(50, 8, 7, seed=2)),
    }


@pytest.fixture(params=cases())
def case(request: pytest.FixtureRequest) -> Case:
    return cases()[request.param]


def test_accuracy_as_scikit_learn_counts_it() -> None:
    task, batch, outputs = cases()["cross_entropy"]
    read = task.read(task.tally(outputs, batch))
    labels, predicted = batch["y"].numpy(), outputs.argmax(1).numpy()
    assert read["accuracy"] == accuracy_score(labels, predicted)
    assert read["loss"] == pytest.approx(log_loss(labels, outputs.double().softmax(1).numpy()), rel=1e-6)
    of_class = [read[f"accuracy of class {label}"] for label in range(4)]
    assert of_class == pytest.approx(recall_score(labels, predicted, average=None).tolist())


def test_classes_that_are_absent_have_no_accuracy() -> None:
    task = Classification(4)
    read = task.read(task.tally(torch.eye(4)[[0, 2]], {"y": torch.tensor([0, 0])}))
    assert read["accuracy"] == 0.5
    assert [name for name in read if name.startswith("accuracy of")] == ["accuracy of class 0"]


def test_squared_distance_to_one_hot_labels() -> None:
    task, batch, outputs = cases()["mean_squared_error"]
    expected = F.mse_loss(outputs, F.one_hot(batch["y"], 4).float())
    torch.testing.assert_close(task.loss(outputs, batch), expected)
    assert task.read(task.tally(outputs, batch))["loss"] == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("shape", [(), (1,), (2,), (2, 3)])
def test_regression_as_scikit_learn_measures_it(shape: tuple[int, ...]) -> None:
    batch = numbers(shape=shape)
    outputs = batch["y"] + drawn(50, *shape, seed=3)
    task = Regression()
    read = task.read(task.tally(outputs if shape else outputs.unsqueeze(-1), batch))
    targets, predicted = (value.flatten(1).double().numpy() if shape else value.double().numpy()
                          for value in (batch["y"], outputs))  # fmt: skip
    assert read["loss"] == pytest.approx(mean_squared_error(targets, predicted), rel=1e-6)
    assert read["r2"] == pytest.approx(r2_score(targets, predicted, multioutput="variance_weighted"), rel=1e-6)
    constant = {"y": torch.ones(3)}
    assert task.read(task.tally(torch.ones(3), constant)) == {"r2": 0.0, "loss": 0.0}


def test_perplexity_and_bits() -> None:
    task, batch, outputs = cases()["language-model"]
    counted = batch["y"] != -100
    per_token = -outputs.double().log_softmax(-1)[counted].gather(1, batch["y"][counted].unsqueeze(1))
    nats, bits = per_token.mean().item(), (per_token / math.log(2)).sum().item()
    read = task.read(task.tally(outputs, batch))
    assert read["loss"] == pytest.approx(nats, rel=1e-6)
    assert read["perplexity"] == pytest.approx(math.exp(nats), rel=1e-6)
    assert read["bits_per_token"] == pytest.approx(bits / int(counted.sum()), rel=1e-6)
    assert read["bits_per_byte"] == pytest.approx(bits / (1.5 * int(counted.sum())), rel=1e-6)
    assert set(read) == {metric.name for metric in task.metrics}
    assert "bits_per_byte" not in LanguageModel(5).read(task.tally(outputs, batch))
    assert task.read({"loss": torch.tensor(1e6), "tokens": torch.tensor(1)})["perplexity"] < math.inf


def test_uneven_batches_add_up(case: Case) -> None:
    task, batch, outputs = case
    whole = task.read(task.tally(outputs, batch))
    pieces = [slice(0, 1), slice(1, 20), slice(20, 50)]
    tallies = [task.tally(outputs[piece], {name: value[piece] for name, value in batch.items()}) for piece in pieces]
    assert total(task, tallies) == pytest.approx(whole, rel=1e-9)
    assert total(task, tallies[::-1]) == pytest.approx(whole, rel=1e-9)
    assert all(value.dtype in (torch.float64, torch.int64) for value in tallies[0].values())


def test_the_loss_is_a_mean_over_its_weight(case: Case) -> None:
    task, batch, outputs = case
    pieces = [{name: value[piece] for name, value in batch.items()} for piece in (slice(0, 30), slice(30, 50))]
    losses = [task.loss(outputs[:30], pieces[0]), task.loss(outputs[30:], pieces[1])]
    weights = [task.weight(piece) for piece in pieces]
    together = sum(loss * weight for loss, weight in zip(losses, weights, strict=True)) / task.weight(batch)
    torch.testing.assert_close(task.loss(outputs, batch), together)
    assert task.read(task.tally(outputs, batch))["loss"] == pytest.approx(float(together), rel=1e-5)


def test_stacks_give_what_each_gives_alone(case: Case) -> None:
    task, batch, outputs = case
    stack = torch.stack([outputs, outputs.flip(0), outputs * 0.5])
    losses = torch.vmap(lambda each: task.loss(each, batch))(stack)
    torch.testing.assert_close(losses, torch.stack([task.loss(each, batch) for each in stack]))
    tallies = torch.vmap(lambda each: task.tally(each, batch))(stack)
    alone = [task.read(task.tally(each, batch)) for each in stack]
    assert [task.read({name: value[row] for name, value in tallies.items()}) for row in range(3)] == [
        pytest.approx(read) for read in alone
    ]
    gradients = torch.vmap(torch.func.grad(lambda each: task.loss(each, batch)))(stack)
    torch.testing.assert_close(gradients[1], torch.func.grad(lambda each: task.loss(each, batch))(stack[1]))


def test_small_floats_are_measured_in_float32(case: Case) -> None:
    task, batch, outputs = case
    half = outputs.bfloat16()
    torch.testing.assert_close(task.loss(half, batch), task.loss(half.float(), batch))
    assert task.read(task.tally(half, batch)) == task.read(task.tally(half.float(), batch))


def test_every_metric_is_read(case: Case) -> None:
    task, batch, outputs = case
    read = task.read(task.tally(outputs, batch))
    assert isinstance(task, Task)
    assert {metric.name for metric in task.metrics} <= set(read)
    assert task.stop_by in read
    assert all(metric.words for metric in task.metrics)


def test_the_best_class_without_a_look_is_the_majority() -> None:
    train = [{"y": torch.tensor([2, 2, 0])}, {"y": torch.tensor([2, 1])}]
    test = [{"y": torch.tensor([2, 0])}, {"y": torch.tensor([1])}]
    found = Classification(4).constant(train, test)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["loss"] == pytest.approx(-(math.log(3 / 5) + 2 * math.log(1 / 5)) / 3)
    squares = Classification(4, "mean_squared_error").constant(train, test)
    shares = np.array([1, 1, 3, 0]) / 5
    assert squares["loss"] == pytest.approx(np.mean([(shares - np.eye(4)[label]) ** 2 for label in (2, 0, 1)]))


def test_the_best_number_without_a_look_is_the_mean() -> None:
    train = [{"y": torch.tensor([[1.0, 10.0], [2.0, 20.0]])}, {"y": torch.tensor([[6.0, 0.0]])}]
    test = [{"y": torch.tensor([[3.0, 12.0]])}, {"y": torch.tensor([[5.0, 10.0], [3.0, 8.0]])}]
    found = Regression().constant(train, test)
    targets = torch.cat([batch["y"] for batch in test]).numpy()
    guesses = np.tile([3.0, 10.0], (3, 1))
    assert found["loss"] == pytest.approx(mean_squared_error(targets, guesses))
    assert found["r2"] == pytest.approx(r2_score(targets, guesses, multioutput="variance_weighted"))
    own = Regression().constant(train, train)
    assert own["r2"] == pytest.approx(0, abs=1e-12)


def test_the_best_token_without_a_look_is_the_unigram() -> None:
    train, test = (
        [{"y": torch.tensor([[0, 0, 1, -100]])}],
        [{"y": torch.tensor([[0, 2]])}, {"y": torch.tensor([[-100]])}],
    )
    found = LanguageModel(3, bytes_per_token=2.0).constant(train, test)
    nats = -(math.log(3 / 6) + math.log(1 / 6)) / 2  # counts 2, 1, 0, and one more each
    assert found == pytest.approx(
        {"loss": nats, "perplexity": math.exp(nats), "bits_per_token": nats / math.log(2),
         "bits_per_byte": nats / math.log(2) / 2}
    )  # fmt: skip


def test_the_best_masked_token_without_a_look_is_the_most_frequent() -> None:
    train, test = [{"y": torch.tensor([[-100, 2, 1, 2]])}], [{"y": torch.tensor([[2, -100, 0]])}]
    found = MaskedLanguageModel(3).constant(train, test)
    nats = -(math.log(3 / 6) + math.log(1 / 6)) / 2
    assert found == pytest.approx({"accuracy": 0.5, "loss": nats, "perplexity": math.exp(nats)})


def test_where_relevance_starts() -> None:
    labels = torch.tensor([1, 0])
    assert Classification(2).relevant(torch.tensor([[1.0, 2.0], [4.0, 8.0]]), {"y": labels}) == 6.0
    assert Regression().relevant(torch.tensor([1.0, 2.0]), {"y": torch.zeros(2)}) == 3.0
    logits = torch.tensor([[[1.0, 2.0], [4.0, 8.0], [16.0, 32.0]]])
    assert LanguageModel(2).relevant(logits, {"y": torch.tensor([[1, -100, 0]])}) == 18.0
    groups = Classification(2).groups({"y": labels})
    assert groups is labels
    assert Regression().groups({"y": labels}) is None


@pytest.mark.parametrize("name", ["language-model", "masked-language-model"])
def test_targets_that_do_not_count_change_nothing(name: str) -> None:
    task, batch, outputs = cases()[name]
    other = torch.where((batch["y"] == -100).unsqueeze(-1), 99.0, outputs)
    assert task.read(task.tally(other, batch)) == task.read(task.tally(outputs, batch))
    torch.testing.assert_close(task.loss(other, batch), task.loss(outputs, batch))
    nothing = {"x": batch["x"], "y": torch.full_like(batch["y"], -100)}
    assert task.loss(outputs, nothing) == 0
    assert task.weight(nothing) == 0
    assert task.read(task.tally(outputs, nothing))["loss"] == 0


@pytest.mark.parametrize(
    ("task", "outputs", "batch", "message"),
    [
        (Classification(5), torch.zeros(3, 4), {"y": torch.zeros(3).long()},
         r"gives \(3, 4\) for 3 examples; logits of shape \(3, 5\) are needed"),
        (Classification(5), torch.zeros(3), {"y": torch.zeros(3).long()}, r"gives \(3,\) for 3 examples"),
        (Classification(5), torch.zeros(2, 5), {"y": torch.zeros(3).long()}, r"gives \(2, 5\) for 3 examples"),
        (Classification(5), torch.zeros(3, 5), {"y": torch.zeros(3)}, "targets are torch.float32"),
        (Regression(), torch.zeros(3, 2), {"y": torch.zeros(3)}, r"gives \(3, 2\) for targets of shape \(3,\)"),
        (Regression(), torch.zeros(3), {"y": torch.zeros(3, 1)}, r"gives \(3,\) for targets of shape \(3, 1\)"),
        (Regression(), torch.zeros(3), {"y": torch.zeros(3).long()}, "targets are torch.int64; floats are needed"),
        (LanguageModel(5), torch.zeros(3, 8, 4), {"y": torch.zeros(3, 8).long()},
         r"gives \(3, 8, 4\) for tokens of shape \(3, 8\); logits of shape \(3, 8, 5\) are needed"),
        (LanguageModel(5), torch.zeros(3, 5), {"y": torch.zeros(3, 8).long()}, r"gives \(3, 5\) for tokens"),
        (LanguageModel(5), torch.zeros(3, 5), {"y": torch.zeros(3).long()}, r"targets have shape \(3,\)"),
        (MaskedLanguageModel(5), torch.zeros(3, 8, 4), {"y": torch.zeros(3, 8).long()}, r"\(3, 8, 5\) are needed"),
        (SequenceClassification(2), torch.zeros(3, 8, 2), {"y": torch.zeros(3).long()},
         r"gives \(3, 8, 2\) for 3 examples; logits of shape \(3, 2\) are needed"),
        (SequenceClassification(2), torch.zeros(3, 2), {"y": torch.zeros(3)}, "targets are torch.float32"),
        (SequenceRegression(), torch.zeros(3, 2), {"y": torch.zeros(3, 1)}, r"gives \(3, 2\) for targets of shape"),
        (SequenceRegression(), torch.zeros(3, 2), {"y": torch.zeros(3, 2)},
         r"targets have shape \(3, 2\); one number an example, \(example,\) or \(example, 1\), is needed"),
        (SequenceRegression(), torch.zeros(3, 1), {"y": torch.zeros(3).long()}, "floats are needed"),
    ],
)  # fmt: skip
def test_what_does_not_fit(task: Task, outputs: Tensor, batch: Batch, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task.check(outputs, batch)


def test_what_fits(case: Case) -> None:
    task, batch, outputs = case
    task.check(outputs, batch)
    assert task.forward(lambda x: outputs, batch) is outputs


def test_networks_are_called_with_their_inputs() -> None:
    outputs = torch.zeros(2)
    assert called(lambda x: outputs + x, {"x": torch.ones(2), "y": torch.zeros(2)}).tolist() == [1, 1]
    several = {"ids": torch.ones(2), "mask": torch.zeros(2), "y": torch.zeros(2)}
    assert called(lambda mask, ids: mask - ids, several).tolist() == [-1, -1]


def test_what_networks_return() -> None:
    from transformers.modeling_outputs import SequenceClassifierOutput

    logits = torch.zeros(2, 3)
    returned: list[Any] = [logits, SequenceClassifierOutput(logits=logits), {"logits": logits}, (logits, 1), [logits]]
    assert all(unwrapped(each) is logits for each in returned)
    for wrong in ({"scores": logits}, (), None, SequenceClassifierOutput(loss=logits)):
        with pytest.raises(ValueError, match=r"the network returns a .*; a tensor, or an output with `logits`"):
            unwrapped(wrong)


def test_gains_are_above_zero_where_it_is_better() -> None:
    assert Metric("accuracy", "higher", "fraction").gain(0.75, 0.5) == 0.25
    assert Metric("loss", "lower", "nats").gain(0.75, 0.5) == -0.25


def make_ranking(**arguments: int) -> Classification:
    return Classification(**arguments)


def test_tasks_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TaskSpec(arguments={"num_classes": 4, "minimise": "mean_squared_error"})
    assert make_task(spec) == Classification(4, "mean_squared_error")
    assert make_task(TaskSpec(name="language-model", arguments={"vocabulary": 5})) == LanguageModel(5)
    with pytest.raises(ValueError, match="unknown task 'regresion'. Did you mean 'regression'"):
        make_task(TaskSpec(name="regresion"))
    with pytest.raises(ValueError, match="task 'classification' does not take the arguments"):
        make_task(TaskSpec(arguments={"classes": 4}))
    with pytest.raises(ValueError, match="unknown loss 'crossentropy'. Did you mean 'cross_entropy'"):
        make_task(TaskSpec(arguments={"num_classes": 4, "minimise": "crossentropy"}))
    with pytest.raises(ValueError, match="has version 1 here; version 2 is asked for"):
        make_task(TaskSpec(version=2, arguments={"num_classes": 4}))
    maker: Callable[..., Task] = make_ranking
    monkeypatch.setitem(TASKS, "ranking", maker)
    assert make_task(TaskSpec(name="ranking", arguments={"num_classes": 4})) == Classification(4)
