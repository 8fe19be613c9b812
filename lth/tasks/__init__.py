"""What is learned and how it is measured: one task per file, and the TASKS table."""

from lth.config import Metric
from lth.tasks.chunks import Chunked
from lth.tasks.classification import Classification
from lth.tasks.language_model import LanguageModel
from lth.tasks.masked_language_model import MaskedLanguageModel
from lth.tasks.regression import Regression
from lth.tasks.sequence_classification import SequenceClassification
from lth.tasks.sequence_regression import SequenceRegression
from lth.tasks.table import TASKS, losses_of, make_task
from lth.tasks.task import Adding, Batch, Tally, Task, unwrapped

__all__ = [
    "TASKS",
    "Adding",
    "Batch",
    "Chunked",
    "Classification",
    "LanguageModel",
    "MaskedLanguageModel",
    "Metric",
    "Regression",
    "SequenceClassification",
    "SequenceRegression",
    "Tally",
    "Task",
    "losses_of",
    "make_task",
    "unwrapped",
]
