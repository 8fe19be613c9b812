"""LeNet, Conv-2, Conv-4 and Conv-6 of Frankle & Carbin 2019, arXiv:1803.03635, Sections 2 to 4 (Figures 4 to 6)."""

from dataclasses import dataclass
from typing import Any

from lth.studies.experiments.experiment import Experiment, Published
from lth.studies.experiments.measures import at, combined, difference
from lth.studies.experiments.scaled import length
from lth.studies.find_ticket_settings import FindTicket, frankle_carbin_lenet

PAPER = "Frankle & Carbin 2019, arXiv:1803.03635"
CIFAR_ROWS = (50_000, 10_000)
MNIST_ROWS = (60_000, 10_000)
HALF = "Chosen here: the published effect, half of it more or less; for a bare claim, its direction."
FIGURES = ("quality", "early_stopping")


def _saved(ticket: float, dense: float) -> float | None:
    return 100 * (1 - ticket / dense) if dense else None


def _times(first: float, second: float) -> float | None:
    return first / second if second else None


DENSE_STEP, DENSE = at("dense", "best_step"), at("dense")

FIG4 = Experiment(
    words="LeNet-300-100 on MNIST: winning tickets by iterative pruning, with re-initialised controls",
    source=PAPER,
    study="find-ticket",
    settings=lambda scale: frankle_carbin_lenet().with_(**length(50_000, scale)),
    rows=(
        Published(
            "early stopping of tickets with 21.1 % of the weights, earlier than the dense network (%)",
            combined(at("ticket", "best_step", density=0.211), DENSE_STEP, _saved),
            38.0,
            (15.0, 60.0),
            "Section 2, Figure 4a",
            digits=0,
        ),
        Published(
            "test accuracy of tickets with 13.5 % of the weights, above the dense network (points)",
            difference(at("ticket", density=0.135), DENSE),
            0.3,
            (0.05, 0.55),
            "Section 2, Figure 4b",
        ),
        Published(
            "test accuracy of tickets with 3.6 % of the weights, above the dense network (points)",
            difference(at("ticket", density=0.036), DENSE),
            0.0,
            (-0.3, 0.3),
            "Section 2, Figure 4b",
        ),
        Published(
            "early stopping of re-initialised networks at 21.1 %, in multiples of the ticket's",
            combined(at("reinit", "best_step", density=0.211), at("ticket", "best_step", density=0.211), _times),
            2.51,
            (1.5, 3.5),
            "Section 2, random reinitialization",
        ),
        Published(
            "test accuracy of tickets at 21.1 %, above re-initialised networks (points)",
            difference(at("ticket", density=0.211), at("reinit", density=0.211)),
            0.5,
            (0.2, 0.8),
            "Section 2, random reinitialization",
        ),
    ),
    data_rows=MNIST_ROWS,
    bands="Chosen here: the published effect, 60 to 85 % of it more or less; 0.3 points where it is none.",
    chosen="Five replicates, as the paper's trials; a random mask as a further control.",
    figures=FIGURES,
    figure_words="Figure 4: accuracy at the end of training, and early stopping, against the weights that remain",
    steps=5 * (1 + 3 * 21) * 50_000,
    took="83 min, two cores",
)


@dataclass(frozen=True, slots=True)
class Conv:
    """A network of Figure 2, and what Section 3 says of it.

    Attributes:
        name: as the paper has it.
        steps: of a training.
        lr: learning rate.
        dropout_lr: the same with dropout.
        conv_rate: share of the convolutions' remaining weights that a level removes.
        levels: down to 2 % of the weights.
        faster: weights remaining (%), and how many times earlier than the dense network it stops there.
        better: weights remaining (%), and points above the dense network there.
    """

    name: str
    steps: int
    lr: float
    dropout_lr: float
    conv_rate: float
    levels: int
    faster: tuple[float, float]
    better: tuple[float, float]

    def settings(self, scale: float, *, dropout: bool = False) -> FindTicket:
        """Return the whole settings: Adam, batches of 60, hidden layers at 20 %, the output layer at 10 % a level."""
        more: dict[str, Any] = {"lr": self.dropout_lr if dropout else self.lr}
        return FindTicket(
            model=f"{self.name.lower()}:dropout=0.5" if dropout else self.name.lower(),
            data="cifar-10",
            levels=self.levels,
            controls=("reinit",),
            validation=5000,
            rates={"convolutions.*": self.conv_rate, "output.weight": 0.1},
            **more,
            **length(self.steps, scale),
        )


CONVS = (
    Conv("Conv-2", 20_000, 2e-4, 3e-4, 0.10, 18, (8.8, 3.5), (4.6, 3.4)),
    Conv("Conv-4", 25_000, 3e-4, 2e-4, 0.10, 22, (9.2, 3.5), (11.1, 3.5)),
    Conv("Conv-6", 30_000, 3e-4, 2e-4, 0.15, 22, (15.1, 2.5), (26.4, 3.3)),
)

BEST = "at_best/test/accuracy"


def _above(words: str, density: float, value: float | None, source: str) -> Published:
    """Return the row of how far tickets are above the dense network, each at early stopping."""
    band = (0.0, None) if value is None else (round(value / 2, 2), round(1.5 * value, 2))
    return Published(
        f"test accuracy at early stopping of tickets with {words} of the weights, above the dense network (points)",
        difference(at("ticket", BEST, density=density), at("dense", BEST)),
        value,
        band,
        source,
        digits=1,
    )


def _conv(conv: Conv) -> Experiment:
    (fast, times), (good, points) = conv.faster, conv.better
    return Experiment(
        words=f"{conv.name} on CIFAR-10: winning tickets by iterative pruning",
        source=PAPER,
        study="find-ticket",
        settings=conv.settings,
        rows=(
            Published(
                f"early stopping of the dense network, in multiples of that of tickets with {fast:g} % of the weights",
                combined(DENSE_STEP, at("ticket", "best_step", density=fast / 100), _times),
                times,
                (1 + (times - 1) / 2, 1 + 1.5 * (times - 1)),
                "Section 3, Figure 5",
                digits=1,
            ),
            _above(f"{good:g} %", good / 100, points, "Section 3, Figure 5"),
            _above("2 %", 0.02, None, "Section 3, Figure 5"),
        ),
        may_lack_data=True,
        data_rows=CIFAR_ROWS,
        bands=HALF,
        chosen="Five replicates, as elsewhere in the paper; levels down to 2 % of the weights.",
        figures=("early_stop_quality", "early_stopping"),
        figure_words="Figure 5: accuracy at early stopping, and early stopping, against the weights that remain",
        steps=_steps(conv),
    )


def _with_dropout(conv: Conv) -> Experiment:
    good = conv.better[0]
    return Experiment(
        words=f"{conv.name} on CIFAR-10 with dropout of 0.5: winning tickets by iterative pruning",
        source=PAPER,
        study="find-ticket",
        settings=lambda scale: conv.settings(scale, dropout=True),
        rows=(_above(f"{good:g} %", good / 100, None, "Section 4, Figure 6"),),
        may_lack_data=True,
        data_rows=CIFAR_ROWS,
        bands="The direction: the paper says that pruning raises accuracy further, and its amounts are not taken over.",
        chosen="Where dropout stands (after hidden layers), and the density looked at: that of the best ticket without "
        "dropout.",
        figures=("early_stop_quality", "early_stopping"),
        figure_words="Figure 6: the same with dropout",
        steps=_steps(conv),
    )


def _steps(conv: Conv) -> int:
    return 5 * (1 + 2 * conv.levels) * conv.steps


FIG5: dict[str, Experiment] = {
    f"frankle-carbin-fig5-{conv.name.lower().replace('-', '')}{suffix}": make(conv)
    for suffix, make in (("", _conv), ("-dropout", _with_dropout))
    for conv in CONVS
}

SMALL: dict[str, Experiment] = {"frankle-carbin-fig4": FIG4, **FIG5}
