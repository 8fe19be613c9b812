"""Published experiments by name: `lth reproduce NAME`."""

from lth.config import Table
from lth.studies.experiments.bert_tickets import BERT, BERT_TABLE
from lth.studies.experiments.connectivity import CONNECTIVITY
from lth.studies.experiments.experiment import Experiment
from lth.studies.experiments.frankle_carbin import FIG5, SMALL
from lth.studies.experiments.frankle_carbin_deep import FIG7, FIG8, REWOUND
from lth.studies.experiments.lwh import TABLE
from lth.studies.experiments.lwh_numbers import LWH
from lth.studies.experiments.morcos import MORCOS
from lth.studies.experiments.retraining import RENDA_RESNET20
from lth.studies.experiments.zhou import ACTIONS, CRITERIA
from lth.studies.experiments.zhou_supermasks import SUPERMASKS

EXPERIMENTS: Table[Experiment] = Table(
    "experiment",
    SMALL
    | FIG7
    | FIG8
    | CRITERIA
    | ACTIONS
    | SUPERMASKS
    | REWOUND
    | CONNECTIVITY
    | RENDA_RESNET20
    | MORCOS
    | LWH
    | BERT,
)
"""Published experiments by name: `lth reproduce NAME`."""

EXPERIMENT_GROUPS: dict[str, tuple[str, ...]] = {
    "frankle-carbin-fig5": tuple(FIG5),
    "frankle-carbin-fig7": tuple(FIG7),
    "frankle-carbin-fig8": tuple(FIG8),
    "zhou-criteria": tuple(CRITERIA),
    "zhou-actions": tuple(ACTIONS),
    "zhou-supermasks": tuple(SUPERMASKS),
    "rewinding": tuple(REWOUND),
    "linear-mode-connectivity": tuple(CONNECTIVITY),
    "morcos-transfer": tuple(MORCOS),
    **TABLE,
    **BERT_TABLE,
}
"""Experiments that are run together, by one name."""

GROUP_WORDS: dict[str, str] = {
    "frankle-carbin-fig5": "Conv-2, Conv-4 and Conv-6 on CIFAR-10, with dropout and without",
    "frankle-carbin-fig7": "VGG-19 on CIFAR-10: learning rates and warm-up",
    "frankle-carbin-fig8": '"Resnet-18" on CIFAR-10: learning rates and warm-up',
    "zhou-criteria": "Which weights to keep: mask criteria on LeNet and MNIST",
    "zhou-actions": "What kept and pruned weights start from, on LeNet and MNIST",
    "zhou-supermasks": "Masks over untrained networks, learned and by a criterion",
    "rewinding": "Late rewinding restores tickets of deep networks",
    "morcos-transfer": "Tickets of one data set, trained on another",
    "linear-mode-connectivity": "From which step on two copies end in one valley",
    "lwh-table": "Tickets in GPT-2 124M: fourteen searches",
    "bert-tickets": "Tickets in pre-trained BERT on GLUE",
}
"""What the tables are, for lists."""
