"""The metrics of GLUE equal those of scikit-learn and SciPy, in whatever batches they come."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.metrics import accuracy_score, f1_score, log_loss, matthews_corrcoef
from torch import Tensor

from lth.config import TaskSpec
from lth.tasks import Batch, MaskedLanguageModel, SequenceClassification, SequenceRegression, Task, make_task
from lth.tasks.correlation import pearson, ranks
from lth.tasks.task import total

Pairs = list[tuple[int, int]]


def in_batches(task: Task, outputs: Tensor, targets: Tensor, sizes: list[int]) -> dict[str, float]:
    """What is read from batches of these sizes, and one of what is left."""
    parts = [each for each in zip(*(_cut(values, sizes) for values in (outputs, targets)), strict=True) if len(each[0])]
    return total(task, [task.tally(part, {"y": wanted}) for part, wanted in parts])


def _cut(values: Tensor, sizes: list[int]) -> tuple[Tensor, ...]:
    ends = np.minimum(np.cumsum(sizes), len(values)).tolist()
    return torch.tensor_split(values, ends)


def saying(answers: list[int], num_classes: int) -> Tensor:
    """Logits whose largest is that of the answer."""
    logits = torch.randn(len(answers), num_classes, generator=torch.Generator().manual_seed(0)) / 4
    logits[torch.arange(len(answers)), torch.tensor(answers)] += 9
    return logits


def pairs(num_classes: int) -> st.SearchStrategy[Pairs]:
    one = st.integers(0, num_classes - 1)
    return st.lists(st.tuples(one, one), min_size=1, max_size=40)


SIZES = st.lists(st.integers(0, 9), max_size=5)


@given(pairs(2), SIZES)
def test_two_classes_as_scikit_learn_measures_them(drawn: Pairs, sizes: list[int]) -> None:
    labels, answers = map(list, zip(*drawn, strict=True))
    task = SequenceClassification(2, measures=("f1", "accuracy", "matthews"))
    logits = saying(answers, 2)
    read = in_batches(task, logits, torch.tensor(labels), sizes)
    assert read["accuracy"] == accuracy_score(labels, answers)
    assert read["f1"] == pytest.approx(f1_score(labels, answers, zero_division=0.0), rel=1e-12)
    assert read["matthews"] == pytest.approx(_matthews(labels, answers), rel=1e-12, abs=1e-15)
    assert read["loss"] == pytest.approx(
        log_loss(labels, logits.double().softmax(1), labels=[0, 1]), rel=1e-5, abs=1e-6
    )


@given(pairs(5), SIZES)
def test_many_classes_as_scikit_learn_measures_them(drawn: Pairs, sizes: list[int]) -> None:
    """Of five logits, three are classes: the others are never right."""
    labels, answers = map(list, zip(*drawn, strict=True))
    labels = [each % 3 for each in labels]
    task = SequenceClassification(3, measures=("matthews", "accuracy"))
    read = in_batches(task, saying(answers, 5), torch.tensor(labels), sizes)
    answers = [min(each, 3) for each in answers]
    assert read["accuracy"] == accuracy_score(labels, answers)
    assert read["matthews"] == pytest.approx(_matthews(labels, answers), rel=1e-12, abs=1e-15)
    for label in set(labels):
        of_class = [answer == label for wanted, answer in zip(labels, answers, strict=True) if wanted == label]
        assert read[f"accuracy of class {label}"] == sum(of_class) / len(of_class)


def _matthews(labels: list[int], answers: list[int]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one class alone, which is our question
        return float(matthews_corrcoef(labels, answers))


def test_where_there_is_nothing_to_divide_by() -> None:
    task = SequenceClassification(2, measures=("f1", "matthews"))
    none = task.read(task.tally(saying([0, 0], 2), {"y": torch.tensor([0, 0])}))
    assert (none["f1"], none["matthews"]) == (0.0, 0.0)
    alike = task.read(task.tally(saying([1, 1], 2), {"y": torch.tensor([1, 0])}))
    assert (alike["f1"], alike["matthews"]) == (pytest.approx(2 / 3), 0.0)


VALUES = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.5, 5.0]) | st.floats(-1e3, 1e3, width=32)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=40), SIZES)
def test_correlations_as_scipy_measures_them(drawn: list[tuple[float, float]], sizes: list[int]) -> None:
    outputs, targets = torch.tensor(drawn).T
    read = in_batches(SequenceRegression(), outputs.unsqueeze(1), targets.unsqueeze(1), sizes)
    one, other = outputs.double().numpy(), targets.double().numpy()
    assert read["loss"] == pytest.approx(np.mean((one - other) ** 2), rel=1e-12)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert (read["pearson"], read["spearman"]) == (0.0, 0.0)
        return
    assert read["spearman"] == pytest.approx(float(spearmanr(one, other).statistic), rel=1e-9, abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that are nearly constant
        assert read["pearson"] == pytest.approx(float(pearsonr(one, other).statistic), rel=1e-6, abs=1e-9)


@given(st.lists(VALUES, min_size=1, max_size=30))
def test_ties_have_their_average_rank(values: list[float]) -> None:
    assert ranks(torch.tensor(values)).tolist() == rankdata(np.float32(values)).tolist()


def test_correlations_at_their_ends() -> None:
    line = torch.arange(9, dtype=torch.float64)
    assert pearson(line, 3 * line - 5) == pytest.approx(1)
    assert pearson(line, -line) == pytest.approx(-1)
    assert pearson(line, line * 1e-200) == pytest.approx(1)
    assert pearson(torch.full((7,), 0.1, dtype=torch.float64), line[:7]) == 0.0
    task, targets = SequenceRegression(), {"y": line[:3].float().unsqueeze(1)}
    diverged = task.read(task.tally(torch.tensor([[1.0], [math.nan], [2.0]]), targets))
    assert all(math.isnan(value) for value in diverged.values())


def test_masked_tokens_are_counted() -> None:
    task = MaskedLanguageModel(4)
    targets = torch.tensor([[1, -100, 3], [-100, 0, -100]])
    logits = saying([1, 0, 2, 3, 0, 1], 4).view(2, 3, 4)
    read = in_batches(task, logits, targets, [1])
    asked = targets != -100
    assert read["accuracy"] == accuracy_score(targets[asked], logits.argmax(-1)[asked]) == pytest.approx(2 / 3)
    probabilities = logits.double().softmax(-1)[asked]
    assert read["loss"] == pytest.approx(log_loss(targets[asked], probabilities, labels=range(4)), rel=1e-6)
    assert read["perplexity"] == pytest.approx(math.exp(read["loss"]))


def test_the_best_class_without_a_look_depends_on_the_metric() -> None:
    """F1 knows the positive class alone, so that a network that learns nothing best says yes."""
    train = [{"y": torch.tensor([0, 0, 1])}, {"y": torch.tensor([0])}]
    test: list[Batch] = [{"y": torch.tensor([0, 1])}, {"y": torch.tensor([0])}]
    found = SequenceClassification(2, measures=("f1", "accuracy", "matthews")).constant(iter(train), iter(test))
    assert found["accuracy"] == accuracy_score([0, 1, 0], [0, 0, 0])
    assert found["f1"] == f1_score([0, 1, 0], [1, 1, 1]) == 0.5
    assert found["matthews"] == 0.0
    assert found["loss"] == pytest.approx(-(2 * math.log(3 / 4) + math.log(1 / 4)) / 3)


def test_the_mean_is_no_correlation() -> None:
    train, test = [{"y": torch.tensor([[1.0], [4.0]])}], [{"y": torch.tensor([[0.0], [3.0], [3.0]])}]
    found = SequenceRegression().constant(train, test)
    assert found == {"pearson": 0.0, "spearman": 0.0, "loss": pytest.approx((2.5**2 + 0.5 + 0) / 3)}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("sequence-classification", {"num_classes": 2, "measures": ["F1"]}, "unknown metric 'F1'. Did you mean 'f1'"),
        ("sequence-classification", {"num_classes": 3, "measures": ["f1"]}, "of two classes, and there are 3"),
        ("sequence-classification", {"num_classes": 3, "measures": []}, r"measures are \[\]: name at least one"),
        ("sequence-classification", {"num_classes": 2, "measures": ["f1"] * 2}, "each once"),
        ("sequence-regression", {"num_targets": 2}, "of one number an example; the data have 2"),
    ],
)
def test_what_cannot_be(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(TaskSpec(name=name, arguments=arguments))


def test_lists_of_a_document_are_tuples() -> None:
    spec = TaskSpec(name="sequence-classification", arguments={"num_classes": 2, "measures": ("f1", "accuracy")})
    read = TaskSpec.model_validate_json(spec.model_dump_json())
    assert make_task(read) == make_task(spec) == SequenceClassification(2, measures=("f1", "accuracy"))
    assert [metric.name for metric in make_task(spec).metrics] == ["f1", "accuracy", "loss"]
