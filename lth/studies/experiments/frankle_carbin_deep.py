"""Deep networks: VGG-19 and "Resnet-18" of Frankle & Carbin 2019 (Figures 7, 8), and late rewinding of both.

Sources: arXiv:1803.03635, Sections 5 and Figure 2; Frankle et al. 2019, arXiv:1903.01611, for rewinding.
"""

from dataclasses import dataclass
from typing import Any

from lth.studies.experiments.experiment import Experiment, Published
from lth.studies.experiments.frankle_carbin import CIFAR_ROWS, PAPER
from lth.studies.experiments.measures import at, difference, mean, nth
from lth.studies.experiments.scaled import its, momentum_sgd
from lth.studies.find_ticket_settings import FindTicket

REWINDING = "Frankle et al. 2019, arXiv:1903.01611"
CHOSEN = (
    "Weight decay (1e-4), momentum (0.9), crops and flips, where the paper names none: defaults of its authors' later "
    "programs. Five replicates."
)


@dataclass(frozen=True, slots=True)
class Deep:
    """A network of Figure 2 that is pruned as a whole, 20 % of its convolutions a level; drawn Glorot-normal.

    Attributes:
        name: as the paper has it.
        model: entry of MODELS.
        steps: of a training.
        batch_size: examples a step.
        milestones: steps at which the learning rate falls by 10.
        levels: rounds of pruning.
        never_prune: patterns of what stays whole: the output layer, and the convolutions of shortcuts (Appendix I).
    """

    name: str
    model: str
    steps: int
    batch_size: int
    milestones: tuple[int, int]
    levels: int
    never_prune: tuple[str, ...] = ("output.weight",)

    def recipe(self, scale: float, lr: float, warmup: int = 0) -> dict[str, Any]:
        """Return what is common to all of the network's experiments."""
        return {
            "model": self.model,
            "data": "cifar-10",
            "scope": "global",
            "rate": 0.2,
            "never_prune": self.never_prune,
            "levels": self.levels,
            "replicates": 5,
            **momentum_sgd(
                self.steps,
                scale,
                lr=lr,
                batch_size=self.batch_size,
                milestones=self.milestones,
                warmup=warmup,
            ),
        }

    def search(self, scale: float, lr: float, warmup: int = 0) -> FindTicket:
        """Return the settings of a search that rewinds to initialisation."""
        return FindTicket(controls=("reinit",), **self.recipe(scale, lr, warmup))


VGG_19 = Deep("VGG-19", "vgg-19:init=glorot", 112_480, 64, (56_240, 84_360), 19)
RESNET_18 = Deep('"Resnet-18"', "frankle-resnet-18", 30_000, 128, (20_000, 25_000), 15, ("*shortcut*", "output.weight"))


def _search(deep: Deep, words: str, lr: float, warmup: int, rows: tuple[Published, ...], bands: str) -> Experiment:
    figure = "Figure 7" if deep is VGG_19 else "Figure 8"
    return Experiment(
        words=f"{deep.name} on CIFAR-10, {words}",
        source=PAPER,
        study="find-ticket",
        settings=lambda scale: deep.search(scale, lr, warmup),
        rows=rows,
        may_lack_data=True,
        data_rows=CIFAR_ROWS,
        bands=bands,
        chosen=CHOSEN,
        figures=("quality",),
        figure_words=f"{figure}: accuracy against the weights that remain",
        steps=5 * (1 + 2 * deep.levels) * deep.steps,
    )


NO_TICKET = "Chosen here: a point either way counts as no better than drawn anew; so is the density looked at."
VGG_SOURCE, RESNET_SOURCE = "Section 5, Figure 7", "Section 5, Figure 8"


def _above_dense(density: float, least: float, source: str) -> Published:
    words = "above" if least == 0 else f"no more than {-least:g} below"
    return Published(
        f"test accuracy of tickets with {100 * density:g} % of the weights, {words} the dense network (points)",
        difference(at("ticket", density=density), at("dense")),
        None,
        (least, None),
        source,
    )


def _as_reinit(density: float, source: str) -> Published:
    return Published(
        f"test accuracy of tickets with {100 * density:g} % of the weights, above re-initialised networks (points): no "
        "winning ticket",
        difference(at("ticket", density=density), at("reinit", density=density)),
        None,
        (-1.0, 1.0),
        source,
    )


FIG7: dict[str, Experiment] = {
    "frankle-carbin-fig7-warmup": _search(
        VGG_19,
        "learning rate 0.1 with 10,000 steps of warm-up",
        0.1,
        10_000,
        (_above_dense(0.015, 0.0, VGG_SOURCE),),
        "The direction.",
    ),
    "frankle-carbin-fig7-high": _search(
        VGG_19, "learning rate 0.1", 0.1, 0, (_as_reinit(0.035, VGG_SOURCE),), NO_TICKET
    ),
    "frankle-carbin-fig7-low": _search(
        VGG_19,
        "learning rate 0.01",
        0.01,
        0,
        (_above_dense(0.035, -1.0, VGG_SOURCE),),
        "The paper's: within one point.",
    ),
}

FIG8: dict[str, Experiment] = {
    "frankle-carbin-fig8-warmup": _search(
        RESNET_18,
        "learning rate 0.03 with 20,000 steps of warm-up",
        0.03,
        20_000,
        (
            Published(
                "test accuracy of tickets with 27.1 % of the weights (%)",
                mean(at("ticket", density=0.271)),
                90.5,
                (89.5, 91.5),
                RESNET_SOURCE,
                digits=1,
            ),
        ),
        "Chosen here: a point either way.",
    ),
    "frankle-carbin-fig8-high": _search(
        RESNET_18, "learning rate 0.1", 0.1, 0, (_as_reinit(0.271, RESNET_SOURCE),), NO_TICKET
    ),
}


def _rewound(deep: Deep, step: int, density: float) -> Experiment:
    def settings(scale: float) -> Any:
        from lth.studies.rewinding import Rewinding

        steps = ("0it", its(step, scale))
        return Rewinding(rewind_steps=steps, methods=("weights",), controls=(), **deep.recipe(scale, 0.1))

    share = f"{100 * density:g} %"
    tickets, first = (nth("rewound to ", index, density=density) for index in (-1, 0))
    return Experiment(
        words=f"{deep.name} on CIFAR-10, learning rate 0.1, without warm-up: tickets rewound to early steps",
        source=REWINDING,
        study="rewinding",
        settings=settings,
        rows=(
            Published(
                f"test accuracy of tickets with {share} of the weights rewound to step {step}, above the dense network "
                "(points)",
                difference(tickets, at("dense")),
                None,
                (-0.5, None),
                "rewinding restores tickets at 0.1",
            ),
            Published(
                f"test accuracy of tickets with {share} of the weights rewound to step {step}, above those rewound to "
                "0 (points)",
                difference(tickets, first),
                None,
                (0.0, None),
                "rewinding restores tickets at 0.1",
            ),
        ),
        may_lack_data=True,
        data_rows=CIFAR_ROWS,
        bands="The direction; half a point below the dense network counts as its level, chosen here.",
        chosen=f"{CHOSEN} The density looked at.",
        figures=("quality",),
        figure_words="accuracy against the weights that remain, by rewind step",
        steps=5 * (deep.steps * (1 + deep.levels) + deep.levels * (deep.steps - step)),
    )


REWOUND: dict[str, Experiment] = {
    "rewinding-vgg19": _rewound(VGG_19, 100, 0.035),
    "rewinding-resnet18": _rewound(RESNET_18, 500, 0.271),
}
