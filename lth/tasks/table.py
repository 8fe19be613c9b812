"""Tasks by name."""

from collections.abc import Callable
from typing import Any

from lth.config.choices import Table
from lth.config.training import TaskSpec
from lth.tasks.classification import Classification
from lth.tasks.language_model import LanguageModel
from lth.tasks.masked_language_model import MaskedLanguageModel
from lth.tasks.regression import Regression
from lth.tasks.sequence_classification import SequenceClassification
from lth.tasks.sequence_regression import SequenceRegression
from lth.tasks.task import Task
from lth.tasks.yours import Yours

TASKS: Table[Callable[..., Task]] = Table(
    "task",
    {
        "classification": Classification,
        "regression": Regression,
        "language-model": LanguageModel,
        "sequence-classification": SequenceClassification,
        "sequence-regression": SequenceRegression,
        "masked-language-model": MaskedLanguageModel,
        "yours": Yours,
    },
)
"""Tasks by name: `--task`."""


def losses_of(task: Callable[..., Task]) -> Table[Any] | None:
    """Return what a task lets users choose from by its argument `minimise`: its `losses`; None if it has no choice."""
    losses: Table[Any] | None = getattr(task, "losses", None)
    return losses


def make_task(spec: TaskSpec) -> Task:
    """Return the task that a spec describes.

    Raises:
        ValueError: if the task is unknown, of another version, or does not take the arguments.
    """
    task_class = TASKS.pick(spec.name)
    try:
        task = task_class(**spec.arguments)
    except TypeError as error:
        raise ValueError(f"task {spec.name!r} does not take the arguments {spec.arguments}: {error}") from error
    if task.version != spec.version:
        raise ValueError(f"task {spec.name!r} has version {task.version} here; version {spec.version} is asked for")
    return task
