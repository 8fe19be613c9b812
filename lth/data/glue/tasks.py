"""The tasks of GLUE: files, columns, classes and metrics.

Source: Wang et al. 2019, arXiv:1804.07461; files as gluebenchmark.com distributes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lth.config.choices import Table


@dataclass(frozen=True, slots=True)
class GlueTask:
    """A task.

    Attributes:
        folder: of its files.
        columns: of the sentence, or of both, by name (by number, from 0, where files have no header).
        label: the column of the answer.
        classes: in the order of their numbers; empty where the answer is a number.
        measures: GLUE's metrics, the first is the one that is compared.
        files: of each part; the test set has hidden answers, so that the dev set stands as test.
        words: what is asked.
    """

    folder: str
    columns: tuple[str, ...]
    label: str
    classes: tuple[str, ...] = ("0", "1")
    measures: tuple[str, ...] = ("accuracy",)
    files: Mapping[str, str] = field(default_factory=lambda: {"train": "train.tsv", "test": "dev.tsv"})
    words: str = ""


MNLI = ("contradiction", "entailment", "neutral")
ENTAILED = ("entailment", "not_entailment")

GLUE: Table[GlueTask] = Table(
    "task of GLUE",
    {
        "sst2": GlueTask("SST-2", ("sentence",), "label", words="is a review positive?"),
        "qqp": GlueTask(
            "QQP", ("question1", "question2"), "is_duplicate", measures=("accuracy", "f1"),
            words="do two questions ask the same?",
        ),
    },
)  # fmt: skip
