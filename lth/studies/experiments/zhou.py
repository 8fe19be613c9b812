"""Mask criteria and actions of Zhou et al. 2019, arXiv:1905.01067, Sections 2 to 4, on LeNet and MNIST.

Settings are those of the authors' programs: 55 epochs of Adam at 1.2e-3 in batches of 60, 24 levels of 20 %, of 10 % in
the output layer. The paper shows curves, no numbers: rows are what it says of their order.
"""

from typing import Any

from lth.studies.experiments.experiment import Band, Experiment, Published
from lth.studies.experiments.frankle_carbin import MNIST_ROWS
from lth.studies.experiments.measures import at, difference
from lth.studies.experiments.scaled import length
from lth.studies.find_ticket_settings import FindTicket

PAPER = "Zhou et al. 2019, arXiv:1905.01067"
STEPS = 55 * 916
"""55 epochs of 55,000 examples."""
DENSITY = 0.135
BEST = "at_best/test/accuracy"
UP: Band = (0.0, None)
DOWN: Band = (None, 0.0)
AS_GOOD: Band = (-0.3, None)
BANDS = "The direction; 0.3 points below count as no worse, half a point either way as alike: chosen here."
CHOSEN = (
    "The density looked at (13.5 %), and 5,000 validation examples of the 60,000, as the programs' 55,000 leave them."
)


def settings(scale: float, **more: Any) -> FindTicket:
    """Return the settings that all of them share."""
    return FindTicket(
        data="mnist",
        levels=24,
        rate=0.2,
        rates={"output.weight": 0.1},
        controls=(),
        replicates=5,
        validation=5000,
        **length(STEPS, scale),
        **more,
    )


def row(words: str, band: Band, source: str, beside: str = "", of: tuple[str, str] = ("ticket", "ticket")) -> Published:
    """Return the row of how far tickets are above others at the density looked at, at early stopping.

    Args:
        words: what they are compared with.
        band: of the difference.
        source: where the paper says so.
        beside: the experiment of the others; empty for the dense network of the same search.
        of: their arms.
    """
    other = at(f"{beside}: {of[1]}", BEST, density=DENSITY) if beside else at("dense", BEST)
    return Published(
        f"test accuracy at early stopping with 13.5 % of the weights, above {words} (points)",
        difference(at(of[0], BEST, density=DENSITY), other),
        None,
        band,
        source,
    )


def _experiment(words: str, rows: tuple[Published, ...], beside: tuple[str, ...] = (), **more: Any) -> Experiment:
    return Experiment(
        words=words,
        source=PAPER,
        study="find-ticket",
        settings=lambda scale: settings(scale, **more),
        rows=rows,
        beside=beside,
        data_rows=MNIST_ROWS,
        bands=BANDS,
        chosen=CHOSEN,
        figures=("early_stop_quality",),
        figure_words="accuracy at early stopping against the weights that remain; all of them in one frame on the page "
        "of the table",
        steps=5 * 25 * STEPS,
    )


CRITERIA_SOURCE = "Section 2"


def _criterion(name: str, *compared: tuple[str, Band]) -> Experiment:
    others = [other.replace("_", "-") for other, _ in compared if other != "dense"]
    rows = tuple(
        row("the dense network", band, CRITERIA_SOURCE)
        if other == "dense"
        else row(f"criterion {other}", band, CRITERIA_SOURCE, f"zhou-criteria-{other.replace('_', '-')}")
        for other, band in compared
    )
    beside = tuple(f"zhou-criteria-{other}" for other in others)
    return _experiment(f"LeNet on MNIST, masks by criterion {name}", rows, beside, criterion=name)


CRITERIA: dict[str, Experiment] = {
    f"zhou-criteria-{name.replace('_', '-')}": _criterion(name, *compared)
    for name, compared in {
        "random": (("dense", DOWN),),
        "small_final": (("random", DOWN),),
        "small_init": (("random", DOWN),),
        "small_init_small_final": (("random", DOWN),),
        "large_final": (("random", UP), ("small_final", UP)),
        "large_init": (("small_init", UP),),
        "large_init_large_final": (("random", UP), ("small_init_small_final", UP)),
        "movement": (("random", UP),),
        "magnitude_increase": (("random", UP), ("large_final", AS_GOOD)),
    }.items()
}

KEPT_SOURCE, PRUNED_SOURCE = "Section 3: kept weights", "Section 4: pruned weights"
REWIND = "zhou-actions-rewind"
LIKE: Band = (-0.5, 0.5)


def _kept(action: str) -> Experiment:
    """Return the experiment of weights that lose their signs."""
    rows = (row("those that are rewound", DOWN, KEPT_SOURCE, REWIND),)
    return _experiment(f"LeNet on MNIST, kept weights: {action}", rows, (REWIND,), kept=action)


def _signed(action: str) -> Experiment:
    other = f"zhou-actions-{action}"
    rows = (
        row(f"those without the signs ({action})", UP, KEPT_SOURCE, other),
        row("those that are rewound", LIKE, KEPT_SOURCE, REWIND),
    )
    words = f"LeNet on MNIST, kept weights: {action} with the initial signs"
    return _experiment(words, rows, (REWIND, other), kept=f"signed_{action}")


FREEZE = "zhou-actions-freeze"
ACTIONS: dict[str, Experiment] = {
    REWIND: _experiment(
        "LeNet on MNIST, kept weights rewound, pruned ones at zero",
        (row("the dense network", UP, "Section 2: large_final"),),
    ),
    **{f"zhou-actions-{action}": _kept(action) for action in ("reinit", "shuffle", "constant")},
    **{f"zhou-actions-signed-{action}": _signed(action) for action in ("reinit", "shuffle", "constant")},
    FREEZE: _experiment(
        "LeNet on MNIST, pruned weights frozen at their initial values",
        (row("pruned weights at zero", DOWN, PRUNED_SOURCE, REWIND),),
        (REWIND,),
        pruned="freeze",
    ),
    "zhou-actions-zero-toward-zero": _experiment(
        "LeNet on MNIST, pruned weights at zero where training moved them there, else frozen",
        (
            row("pruned weights at zero", AS_GOOD, PRUNED_SOURCE, REWIND),
            row("all of them frozen", UP, PRUNED_SOURCE, FREEZE),
        ),
        (REWIND, FREEZE),
        pruned="zero_if_toward_zero",
    ),
}
