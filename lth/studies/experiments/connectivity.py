"""Linear mode connectivity: Frankle et al. 2020, arXiv:1912.05671, Table 1, Figures 3 and 5."""

from typing import Any

from lth.analysis.points import Plot
from lth.studies.experiments.experiment import Band, Experiment, Published
from lth.studies.experiments.frankle_carbin import CIFAR_ROWS, MNIST_ROWS
from lth.studies.experiments.measures import at, difference, of_table, shrunk
from lth.studies.experiments.scaled import its, length, momentum_sgd

PAPER = "Frankle et al. 2020, arXiv:1912.05671"
STEPS = 63_000
"""Of a training on CIFAR-10."""
STABLE: Band = (None, 2.0)
UNSTABLE: Band = (2.0, None)
MATCHING: Band = (-0.5, None)
BANDS = (
    "The paper's: below a barrier of two points of error a network is stable. Half a point below dense counts as "
    "matching: chosen here."
)
BARRIERS = Plot(
    "barriers",
    "Instability",
    "Barrier of the test error between two copies, by the step at which they part. Below 2 % the paper calls a network "
    "stable.",
    "rewind_step",
    "mean",
    x_words="Step at which copies part",
    y_words="Barrier (share of the test part)",
    colour="density",
    panel="arm",
    table="barriers",
)


def _barrier(step: int, band: Band, source: str, density: float = 1.0) -> Published:
    network = "the dense network" if density == 1 else f"tickets with {100 * density:g} % of the weights"
    state = "stable" if band == STABLE else "not stable"
    return Published(
        f"barrier of {network}, copies part at step {step:,} (points of error): {state}",
        of_table("barriers", arm="ticket", rewind_step=shrunk(step, STEPS), density=density),
        None,
        band,
        source,
    )


def _matching(step: int, density: float) -> Published:
    start = shrunk(step, STEPS)
    ends = at("ticket", rewind_step=start, density=density, share=0.0)
    return Published(
        f"test accuracy of tickets with {100 * density:g} % of the weights, rewound to step {step:,}, above the dense "
        "network (points): matching",
        difference(ends, at("ticket", rewind_step=start, density=1.0, share=0.0)),
        None,
        MATCHING,
        "Section 4, Figure 5",
    )


def _experiment(
    words: str,
    settings: Any,
    rows: tuple[Published, ...],
    *,
    chosen: str,
    num_trainings: int,
    steps: int = STEPS,
    data_rows: tuple[int, int] = CIFAR_ROWS,
) -> Experiment:
    return Experiment(
        words=f"{words}: from which step on copies are linearly connected",
        source=PAPER,
        study="connect",
        settings=settings,
        rows=rows,
        may_lack_data=data_rows == CIFAR_ROWS,
        data_rows=data_rows,
        bands=BANDS,
        chosen=chosen,
        figures=(BARRIERS, "line"),
        figure_words="Figures 3 and 5: instability by step; and the lines that it is read from",
        steps=num_trainings * steps,
    )


def _lenet(scale: float) -> Any:
    from lth.studies.connect import connect_lenet

    more = length(24_000, scale, evaluate_every=1_000)
    return connect_lenet().with_(rewind_to=("0it",), connect_levels=(0, 15), **more)


def _deep(scale: float, model: str, steps: tuple[int, ...], level: int) -> Any:
    from lth.studies.connect import Connect

    return Connect(
        model=model,
        data="cifar-10",
        rewind_to=tuple(dict.fromkeys(its(step, scale, least=0) for step in steps)),
        connect_levels=(0, level),
        scope="global",
        rate=0.2,
        **momentum_sgd(STEPS, scale, lr=0.1, batch_size=128, milestones=(32_000, 48_000)),
    )


DEEP_CHOSEN = (
    "Three replicates; weight decay (1e-4), crops and flips, and 5,000 validation examples: defaults of its authors' "
    "later programs. Batch norms are estimated anew on the line."
)

CONNECTIVITY: dict[str, Experiment] = {
    "linear-mode-connectivity-lenet": _experiment(
        "LeNet-300-100 on MNIST",
        _lenet,
        (_barrier(0, STABLE, "Section 3, Figure 3"), _barrier(0, STABLE, "Section 4, Figure 5", 0.035)),
        chosen="Layer-wise pruning, as Frankle & Carbin 2019 have it, and three replicates.",
        num_trainings=3 * (1 + 14 + 3 * 2),
        steps=24_000,
        data_rows=MNIST_ROWS,
    ),
    "linear-mode-connectivity-resnet20": _experiment(
        "ResNet-20 on CIFAR-10",
        lambda scale: _deep(scale, "resnet-20", (0, 500, 2_000), 8),
        (
            _barrier(0, UNSTABLE, "Section 3, Figure 3"),
            _barrier(2_000, STABLE, "Section 3, Figure 3"),
            _barrier(0, UNSTABLE, "Section 4, Figure 5", 0.168),
            _barrier(500, STABLE, "Section 4, Figure 5", 0.168),
            _matching(500, 0.168),
        ),
        chosen=DEEP_CHOSEN,
        num_trainings=3 * (1 + 3 * (7 + 3 * 2)),
    ),
    "linear-mode-connectivity-vgg16": _experiment(
        "VGG-16 on CIFAR-10",
        lambda scale: _deep(scale, "vgg-16", (0, 1_000), 19),
        (
            _barrier(0, UNSTABLE, "Section 3, Figure 3"),
            _barrier(1_000, STABLE, "Section 3, Figure 3"),
            _barrier(0, UNSTABLE, "Section 4, Figure 5", 0.015),
            _barrier(1_000, STABLE, "Section 4, Figure 5", 0.015),
            _matching(1_000, 0.015),
        ),
        chosen=DEEP_CHOSEN,
        num_trainings=3 * (1 + 2 * (18 + 3 * 2)),
    ),
}
