"""Tickets of one data set on another: Morcos et al. 2019, arXiv:1906.02773.

The paper shows curves, no numbers: rows are what it says of them. Its recipe is not known here for certain.
"""

from typing import Any

from lth.studies.experiments.experiment import Band, Experiment, Published
from lth.studies.experiments.frankle_carbin import CIFAR_ROWS, MNIST_ROWS
from lth.studies.experiments.frankle_carbin_deep import VGG_19
from lth.studies.experiments.measures import at, difference
from lth.studies.experiments.scaled import its

PAPER = "Morcos et al. 2019, arXiv:1906.02773"
DENSITY = 0.107
REWIND = 1_000
UP: Band = (0.0, None)
CLOSE: Band = (-1.0, None)


def _transfer(source: str, target: str, adapt: str) -> Experiment:
    def settings(scale: float) -> Any:
        from lth.studies.transfer_settings import Transfer

        recipe = VGG_19.recipe(scale, 0.1) | {"data": target, "levels": 10, "never_prune": ()}
        return Transfer(source_data=source, adapt=adapt, rewind_to=its(REWIND, scale), controls=("random",), **recipe)

    def row(words: str, other: str, band: Band) -> Published:
        return Published(
            f"test accuracy on {target} of tickets of {source} with 10.7 % of the weights, above {words} (points)",
            difference(at("source ticket", density=DENSITY), at(other, density=DENSITY)),
            None,
            band,
            "abstract and Section 4, transfer across data sets",
        )

    chain = 2 * VGG_19.steps + (4 * 10 - 1) * (VGG_19.steps - REWIND)
    return Experiment(
        words=f"VGG-19: tickets of {source}, trained on {target}",
        source=PAPER,
        study="transfer",
        settings=settings,
        rows=(
            row("random masks", "random", UP),
            row(f"tickets of {target} (close to them)", "target ticket", CLOSE),
        ),
        may_lack_data=True,
        data_rows=CIFAR_ROWS if target == "cifar-10" else MNIST_ROWS,
        bands="The direction; a point below counts as close: chosen here.",
        chosen="The recipe, that of frankle-carbin-fig7-high; rewinding to step 1,000; the density looked at; how "
        "inputs are adapted; an output layer that is drawn anew and dense; five replicates.",
        figures=("quality", "differences"),
        figure_words="accuracy on the target against the weights that remain, by where tickets come from",
        steps=5 * chain,
    )


MORCOS: dict[str, Experiment] = {
    "morcos-transfer-cifar100-to-cifar10": _transfer("cifar-100", "cifar-10", "none"),
    "morcos-transfer-fashion-to-cifar10": _transfer("fashion-mnist", "cifar-10", "resize"),
    "morcos-transfer-cifar10-to-fashion": _transfer("cifar-10", "fashion-mnist", "pad"),
}
