"""The tasks of GLUE: files, columns, classes and metrics.

Source: Wang et al. 2019, arXiv:1804.07461 (ICLR); files as gluebenchmark.com distributes them, classes numbered as the
Hugging Face Hub's `glue` numbers them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lth.config.choices import Table


@dataclass(frozen=True, slots=True)
class GlueTask:
    """A task.

    Attributes:
        folder: of its files.
        columns: of the sentence, or of both, by name.
        label: the column of the answer.
        rows: of each part, as published.
        classes: in the order of their numbers; empty where the answer is a number.
        measures: GLUE's metrics, the first is the one that is compared.
        files: of each part; the answers of the test set are hidden, so that the dev set stands as test.
        header: the columns by name, where files have no line that names them.
        renamed: the column names of the data set on the hub, where they are others.
        may_be_cut: whether lines with too few columns are known in the published files, and are left out.
        words: what is asked.
    """

    folder: str
    columns: tuple[str, ...]
    label: str
    rows: Mapping[str, int]
    classes: tuple[str, ...] = ("0", "1")
    measures: tuple[str, ...] = ("accuracy",)
    files: Mapping[str, str] = field(default_factory=lambda: {"train": "train.tsv", "test": "dev.tsv"})
    header: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    may_be_cut: bool = False
    words: str = ""


PAIR = ("sentence1", "sentence2")
ENTAILED = ("entailment", "not_entailment")
MNLI_FILES = {"train": "train.tsv", "test": "dev_matched.tsv", "test_mismatched": "dev_mismatched.tsv"}
LARGEST_SCORE = 5.0
"""Of STS-B, whose scores go from 0 to 5."""

GLUE: Table[GlueTask] = Table(
    "task of GLUE",
    {
        "cola": GlueTask(
            "CoLA", ("sentence",), "label", {"train": 8_551, "test": 1_043}, measures=("matthews",),
            header=("source", "label", "mark", "sentence"), words="is a sentence grammatical?",
        ),
        "sst2": GlueTask(
            "SST-2", ("sentence",), "label", {"train": 67_349, "test": 872}, words="is a phrase of a review positive?"
        ),
        "mrpc": GlueTask(
            "MRPC", ("#1 String", "#2 String"), "Quality", {"train": 3_668, "test": 408}, measures=("accuracy", "f1"),
            renamed={"#1 String": "sentence1", "#2 String": "sentence2"}, words="do two sentences say the same?",
        ),
        "stsb": GlueTask(
            "STS-B", PAIR, "score", {"train": 5_749, "test": 1_500}, classes=(), measures=("pearson", "spearman"),
            words="how alike are two sentences, from 0 to 5?",
        ),
        "qqp": GlueTask(
            "QQP", ("question1", "question2"), "is_duplicate", {"train": 363_846, "test": 40_430},
            measures=("accuracy", "f1"), may_be_cut=True, words="do two questions ask the same?",
        ),
        "mnli": GlueTask(
            "MNLI", PAIR, "gold_label", {"train": 392_702, "test": 9_815, "test_mismatched": 9_832},
            classes=("entailment", "neutral", "contradiction"), files=MNLI_FILES,
            renamed={"sentence1": "premise", "sentence2": "hypothesis"},
            words="does the second sentence follow, contradict, or neither?",
        ),
        "qnli": GlueTask(
            "QNLI", ("question", "sentence"), "label", {"train": 104_743, "test": 5_463}, classes=ENTAILED,
            words="does a sentence answer a question?",
        ),
        "rte": GlueTask(
            "RTE", PAIR, "label", {"train": 2_490, "test": 277}, classes=ENTAILED,
            words="does the second sentence follow?",
        ),
        "wnli": GlueTask(
            "WNLI", PAIR, "label", {"train": 635, "test": 71}, words="does a sentence follow whose pronoun is resolved?"
        ),
    },
)  # fmt: skip
