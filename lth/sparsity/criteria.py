"""Mask criteria by name: which weights matter. Each gives one score per weight; the lowest are pruned first."""

from collections.abc import Callable
from dataclasses import dataclass

from lth.config.choices import Table
from lth.sparsity import zhou
from lth.sparsity.evidence import Evidence
from lth.sparsity.saliency.fisher import fisher
from lth.sparsity.saliency.gradient import snip, taylor
from lth.sparsity.saliency.grasp import grasp
from lth.sparsity.saliency.magnitude import lamp, large_final_layer_normalised
from lth.sparsity.saliency.movement import TRACE, movement_pruning
from lth.sparsity.saliency.relevance import lrp_epsilon, lrp_z_plus
from lth.sparsity.saliency.ria import ria
from lth.sparsity.saliency.synflow import synflow
from lth.sparsity.saliency.wanda import wanda, wanda_raw
from lth.sparsity.types import Scores
from lth.sparsity.words import first_paragraph

Score = Callable[[Evidence], Scores]
"""One score per weight of each prunable parameter."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """A way to score weights.

    Attributes:
        score: gives one score per weight of each prunable parameter.
        traces: sums that the training must keep for it, by name.
        rounds: times it scores again on the way to a level, unless the settings say otherwise.
        needs_examples: whether it runs the network on examples; None where that is not known. This is for messages, and
            refuses the criterion within a training; a criterion gets the network whenever it asks for it.
        words: what it does; by default the first paragraph of the docstring of `score`.
    """

    score: Score
    traces: tuple[str, ...] = ()
    rounds: int = 1
    needs_examples: bool | None = False
    words: str = ""

    def __post_init__(self) -> None:
        if not self.words:
            object.__setattr__(self, "words", first_paragraph(self.score))

    def __call__(self, evidence: Evidence) -> Scores:
        return self.score(evidence)


CRITERIA: Table[Score] = Table(
    "criterion",
    {
        "large_final": Criterion(zhou.large_final),
        "small_final": Criterion(zhou.small_final),
        "large_init": Criterion(zhou.large_init),
        "small_init": Criterion(zhou.small_init),
        "large_init_large_final": Criterion(zhou.large_init_large_final),
        "large_init_large_final_scaled": Criterion(zhou.large_init_large_final_scaled),
        "small_init_small_final": Criterion(zhou.small_init_small_final),
        "small_init_small_final_scaled": Criterion(zhou.small_init_small_final_scaled),
        "magnitude_increase": Criterion(zhou.magnitude_increase),
        "magnitude_increase_scaled": Criterion(zhou.magnitude_increase_scaled),
        "magnitude_increase_normalised": Criterion(zhou.magnitude_increase_normalised),
        "movement": Criterion(zhou.movement),
        "movement_normalised": Criterion(zhou.movement_normalised),
        "large_final_same_sign": Criterion(zhou.large_final_same_sign),
        "large_final_diff_sign": Criterion(zhou.large_final_diff_sign),
        "magnitude_increase_same_sign": Criterion(zhou.magnitude_increase_same_sign),
        "magnitude_increase_diff_sign": Criterion(zhou.magnitude_increase_diff_sign),
        "random": Criterion(zhou.random),
        "snip": Criterion(snip, needs_examples=True),
        "grasp": Criterion(grasp, needs_examples=True),
        "synflow": Criterion(synflow, rounds=100, needs_examples=True),
        "taylor": Criterion(taylor, needs_examples=True),
        "fisher": Criterion(fisher, needs_examples=True),
        "lrp_epsilon": Criterion(lrp_epsilon, needs_examples=True),
        "lrp_z_plus": Criterion(lrp_z_plus, needs_examples=True),
        "wanda": Criterion(wanda, needs_examples=True),
        "wanda_raw": Criterion(wanda_raw, needs_examples=True),
        "ria": Criterion(ria, needs_examples=True),
        "lamp": Criterion(lamp),
        "large_final_layer_normalised": Criterion(large_final_layer_normalised),
        "movement_pruning": Criterion(movement_pruning, traces=(TRACE,)),
    },
)
"""Mask criteria by name: `--criterion`. The weights with the lowest scores are pruned first."""


def criterion(name: str) -> Criterion:
    """Return the criterion of this name; a bare function in the table is one of which no facts are known.

    Raises:
        ValueError: if there is none; suggests the nearest name.
    """
    entry = CRITERIA.pick(name)
    return entry if isinstance(entry, Criterion) else Criterion(entry, needs_examples=None)
