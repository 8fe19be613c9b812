"""Tickets in pre-trained BERT on GLUE: Chen et al. 2020, arXiv:2007.12223, Table 2, and a later study of two tasks.

Searches have the paper's settings: three epochs a round, batches of 32, a learning rate of 2e-5, ten points of the
prunable weights a round, and kept weights that go back to the pre-trained ones. What the paper leaves open is chosen
here: five replicates, and the customs of fine-tuning that `bert_ticket` names.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lth.analysis.documents import Details, Results
from lth.studies.experiments.experiment import Experiment, Published
from lth.studies.experiments.measures import Measure, at, mean
from lth.studies.find_ticket_settings import FindTicket, bert_ticket

PAPER = "Chen et al. 2020, arXiv:2007.12223"
NO_TASK, NO_TEXTS = "not run: no task of lth's", "not run: needs the data (Wikipedia and BookCorpus)"
MODEL = "bert-base-uncased"
LARGE = 10_000
"""Examples of training from which on a task's numbers spread by about a point; below by three."""


@dataclass(frozen=True, slots=True)
class TableLine:
    """A line of the paper's table.

    Attributes:
        task: as papers write it.
        data: its data set; empty where it is not run.
        measure: what is reported, a metric of the task.
        rows: examples of training and of the dev set in GLUE's own split.
        sparsity: of the ticket, in percent.
        reported: of the dense network, the ticket, the random mask, in percent.
        not_run: why it is listed alone.
    """

    task: str
    data: str
    measure: str
    rows: tuple[int, int]
    sparsity: int
    reported: tuple[float, float, float]
    not_run: str = ""

    def settings(self, scale: float = 1.0) -> FindTicket:
        """Return the whole settings; below full scale trainings are shorter."""
        steps = max(10, round(3 * scale * self.rows[0] / 32))
        shorter = {} if scale >= 1 else {"duration": f"{steps}it", "evaluate_every": max(5, min(500, steps // 4))}
        return bert_ticket(self.data).with_(levels=self.sparsity // 10, controls=("random",), replicates=5, **shorter)


TABLE_LINES: dict[str, TableLine] = {
    "bert-tickets-qqp": TableLine("QQP", "glue/qqp", "accuracy", (363_846, 40_430), 90, (90.2, 90.0, 76.3)),
    "bert-tickets-stsb": TableLine("STS-B", "glue/stsb", "pearson", (5_749, 1_500), 50, (88.4, 88.2, 21.0)),
    "bert-tickets-wnli": TableLine("WNLI", "glue/wnli", "accuracy", (635, 71), 90, (54.9, 54.9, 53.5)),
    "bert-tickets-qnli": TableLine("QNLI", "glue/qnli", "accuracy", (104_743, 5_463), 70, (89.1, 88.9, 61.9)),
    "bert-tickets-mrpc": TableLine("MRPC", "glue/mrpc", "accuracy", (3_668, 408), 50, (85.2, 84.9, 69.6)),
    "bert-tickets-rte": TableLine("RTE", "glue/rte", "accuracy", (2_490, 277), 60, (66.2, 66.0, 56.0)),
    "bert-tickets-sst2": TableLine("SST-2", "glue/sst2", "accuracy", (67_349, 872), 60, (92.1, 91.9, 83.1)),
    "bert-tickets-cola": TableLine("CoLA", "glue/cola", "matthews", (8_551, 1_043), 50, (54.5, 53.8, 9.6)),
    "bert-tickets-squad": TableLine("SQuAD", "", "f1", (88_641, 10_784), 40, (88.1, 87.7, 31.8), NO_TASK),
    "bert-tickets-mlm": TableLine("masked language model", "", "accuracy", (0, 0), 70, (63.5, 63.2, 32.3), NO_TEXTS),
}
"""By name; those without data are listed, not run."""


def _rows(line: TableLine) -> Iterable[Published]:
    density, spread = 1 - line.sparsity / 100, 1.0 if line.rows[0] > LARGE else 3.0
    arms = (
        ("dense", 1.0, "dense", spread),
        ("ticket", density, "ticket", spread),
        ("random", density, "random mask", 5 * spread),
    )
    for (arm, place, words, band), value in zip(arms, line.reported, strict=True):
        shown = words if arm == "dense" else f"{words}, {line.sparsity} % pruned"
        yield Published(
            f"{line.task}, {line.measure} (%): {shown}",
            mean(at(arm, f"end/test/{line.measure}", density=place)),
            value,
            (round(value - band, 1), round(value + band, 1)),
            "Table 2",
            digits=1,
        )


def _experiment(line: TableLine) -> Experiment:
    return Experiment(
        words=f"Tickets in pre-trained BERT: {line.task} at {line.sparsity} % sparsity",
        source=PAPER,
        study="find-ticket",
        settings=line.settings,
        rows=tuple(_rows(line)),
        model=MODEL,
        may_lack_data=True,
        not_run=line.not_run,
        data_rows=line.rows,
    )


@dataclass(frozen=True, slots=True)
class StudyLine:
    """A task of the later study: pre-trained for one epoch, then searched from there.

    Attributes:
        task: as papers write it.
        data: its data set.
        rows: examples of training and of the dev set.
        sparsity: of the ticket, in percent.
        dense: accuracy after an epoch, by seed, in percent.
        ticket: accuracy of the ticket, by seed, in percent.
    """

    task: str
    data: str
    rows: tuple[int, int]
    sparsity: int
    dense: tuple[float, ...]
    ticket: tuple[float, ...]

    def settings(self, scale: float = 1.0) -> FindTicket:
        """Return the whole settings: what goes back is the state after an epoch."""
        steps = max(12, round(3 * scale * self.rows[0] / 32))
        length = {"duration": "3ep", "rewind_to": "1ep"}
        if scale < 1:
            every = max(5, min(500, steps // 4))
            length = {"duration": f"{steps}it", "rewind_to": f"{steps // 3}it", "evaluate_every": every}  # type: ignore[dict-item]
        return bert_ticket(self.data).with_(
            levels=self.sparsity // 10, controls=("random",), replicates=3, seed=42, **length
        )


STUDY_LINES: dict[str, StudyLine] = {
    "bert-study-sst2": StudyLine("SST-2", "glue/sst2", (67_349, 872), 60, (92.32, 91.86, 91.63), (91.17, 91.86, 91.86)),
    "bert-study-qqp": StudyLine("QQP", "glue/qqp", (67_360, 16_840), 70, (86.20, 86.13, 86.04), (86.57, 86.54, 86.77)),
}
"""Numbers of a study without a paper, three seeds each; its QQP has a split of its own."""


def nothing(results: Results, details: Details) -> None:
    """Measure nothing: the test part is read at the end of a training alone."""


def _of_seeds(words: str, measure: Measure, values: tuple[float, ...]) -> Published:
    mean = round(sum(values) / len(values), 2)
    band = (round(min(values) - 0.5, 2), round(max(values) + 0.5, 2))
    return Published(words, measure, mean, band, "the study's log, mean of three seeds")


def _later(study: StudyLine) -> Experiment:
    words = f"{study.task}, accuracy (%): "
    ticket = mean(at("ticket", density=1 - study.sparsity / 100))
    return Experiment(
        words=f"Tickets in BERT rewound to an epoch: {study.task} at {study.sparsity} % sparsity",
        source="the study of merged tickets in BERT, its log",
        study="find-ticket",
        settings=study.settings,
        rows=(
            _of_seeds(f"{words}dense, after one epoch", nothing, study.dense),
            _of_seeds(f"{words}ticket, {study.sparsity} % pruned", ticket, study.ticket),
        ),
        model=MODEL,
        may_lack_data=True,
        data_rows=study.rows,
    )


BERT: dict[str, Experiment] = {name: _experiment(line) for name, line in TABLE_LINES.items()} | {
    name: _later(study) for name, study in STUDY_LINES.items()
}
"""Searches of both by name."""

BERT_TABLE: dict[str, tuple[str, ...]] = {"bert-tickets": tuple(BERT)}
"""All of them, by one name."""
