"""Ways to retrain: Renda et al. 2020, arXiv:2003.02389, ResNet-20 on CIFAR-10, iterative pruning."""

from typing import Any

from lth.studies.experiments.experiment import Experiment, Published
from lth.studies.experiments.frankle_carbin import CIFAR_ROWS
from lth.studies.experiments.measures import Values, at, difference, mean, nth
from lth.studies.experiments.scaled import its, length

PAPER = "Renda et al. 2020, arXiv:2003.02389"
STEPS, REWIND = 71_108, 4_701
DENSITIES = (0.2097, 0.1074)
SOURCE = "ResNet-20, iterative unstructured pruning"
LR, FINE = "learning-rate rewinding", "fine-tuning"


def _settings(scale: float) -> Any:
    from lth.studies.rewinding import renda_resnet20

    return renda_resnet20().with_(
        rewind_steps=("0it", its(REWIND, scale)),
        lr_milestones=tuple(its(step, max(scale, 100 / STEPS)) for step in (35_554, 53_136)),
        controls=(),
        validation=5000,
        **length(STEPS, scale, evaluate_every=1_000),
    )


def _method(name: str, density: float) -> Values:
    """Return the values of a method at a density; what rewinds weights is found by its order."""
    if name in (LR, FINE):
        return at(name, density=density)
    return nth("rewound to ", 0 if name == "rewinding to initialisation" else -1, density=density)


ACCURACIES = {
    LR: (91.89, 91.01),
    "weight rewinding": (91.68, 91.00),
    FINE: (90.46, 89.32),
    "rewinding to initialisation": (89.21, 86.68),
}
"""In percent, by method, at both densities."""


def _accuracy(method: str, density: float, value: float) -> Published:
    return Published(
        f"test accuracy of {method} with {100 * density:g} % of the weights (%)",
        mean(_method(method, density)),
        value,
        (round(value - 1, 2), round(value + 1, 2)),
        SOURCE,
    )


def _gap(first: str, second: str, index: int) -> Published:
    density, gap = DENSITIES[index], round(ACCURACIES[first][index] - ACCURACIES[second][index], 2)
    return Published(
        f"test accuracy of {first} with {100 * density:g} % of the weights, above {second} (points)",
        difference(_method(first, density), _method(second, density)),
        gap,
        (round(gap / 2, 2), round(1.5 * gap, 2)),
        SOURCE,
    )


RENDA = Experiment(
    words="ResNet-20 on CIFAR-10: learning-rate rewinding, weight rewinding, fine-tuning",
    source=PAPER,
    study="rewinding",
    settings=_settings,
    rows=(
        Published("test accuracy of the dense network (%)", mean(at("dense")), 91.71, (90.71, 92.71), SOURCE),
        *(
            _accuracy(method, density, value)
            for method, values in ACCURACIES.items()
            for density, value in zip(DENSITIES, values, strict=True)
        ),
        *(_gap(LR, FINE, index) for index in (0, 1)),
        *(_gap("weight rewinding", "rewinding to initialisation", index) for index in (0, 1)),
    ),
    may_lack_data=True,
    data_rows=CIFAR_ROWS,
    bands="Chosen here: a point either way for accuracies, as 5,000 training examples are held out here; half of a "
    "difference more or less, differences being of the published means.",
    chosen="Momentum 0.9, rate 0.1, crops and flips, 5,000 validation examples, three replicates; retraining for as "
    "many steps as are left after the rewind step.",
    figures=("quality",),
    figure_words="accuracy against the weights that remain, by method",
    steps=3 * (STEPS + 10 * STEPS + 3 * 10 * (STEPS - REWIND)),
)

RENDA_RESNET20: dict[str, Experiment] = {"renda-resnet20": RENDA}
