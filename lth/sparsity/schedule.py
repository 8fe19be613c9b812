"""Schedules over levels: how dense each level is, and whose weights decide it. (Within training: `Sparsifier`.)

Source: Frankle & Carbin 2019, arXiv:1803.03635, Section 2 (iterative, one-shot).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, prod

from lth.config.choices import Table
from lth.sparsity.words import first_paragraph

RateOfLevel = Callable[[float, int, Sequence[float]], float]
"""(rate, level, listed rates) -> fraction of the remaining weights that this level removes."""


def _the_level_before(level: int) -> int:
    return level - 1


def _the_dense_level(level: int) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a study walks down in density.

    Attributes:
        rate: the fraction of the remaining weights that a level removes.
        source: level -> the level whose trained weights are scored for it; by default the one before.
        words: what it does; by default the first paragraph of the docstring of `rate`.
    """

    rate: RateOfLevel
    source: Callable[[int], int] = _the_level_before
    words: str = ""

    def __post_init__(self) -> None:
        if not self.words:
            object.__setattr__(self, "words", first_paragraph(self.rate))

    def density(self, rate: float, level: int, listed: Sequence[float] = ()) -> float:
        """Return the fraction of all weights kept at a level; 1 at level 0."""
        return float(prod(1 - self.rate(rate, each, listed) for each in range(1, level + 1)))


def iterative(rate: float, level: int, listed: Sequence[float]) -> float:
    """Prune the level before, by the same rate of the remaining weights each time (with --per-level: of all)."""
    return rate


def one_shot(rate: float, level: int, listed: Sequence[float]) -> float:
    """Cut each level from the dense network at once, to what as many rates (or steps of --per-level) leave."""
    return rate


def increasing(rate: float, level: int, listed: Sequence[float]) -> float:
    """Prune the level before, by a rate that rises fourfold: 5, 10, 15, 20, 20 % of the rest for 0.05; at most 95 %."""
    return min(rate * min(level, 4), 0.95)


def decreasing(rate: float, level: int, listed: Sequence[float]) -> float:
    """Prune the level before, by the rate divided by the level: 60, 30, 20, 15 % of the rest for 0.6."""
    return rate / level


def as_listed(rate: float, level: int, listed: Sequence[float]) -> float:
    """Prune the level before, by the rates of --level-rates, of the remaining weights.

    Raises:
        ValueError: if the list is too short.
    """
    if level > len(listed):
        raise ValueError(f"level_rates holds {len(listed)} rates, level {level} needs one more: list one per level")
    return listed[level - 1]


def after_equal_steps(per_level: float, level: int) -> float:
    """Return the fraction of all weights kept at a level, where every level removes the same fraction of all.

    It is the float that is nearest to the decimal number: 0.7 and not 0.7000000000000001.

    Raises:
        ValueError: if nothing would be left.
    """
    left = 1 - level * Decimal(str(per_level))
    if left <= 0:
        most = ceil(1 / Decimal(str(per_level))) - 1
        raise ValueError(
            f"per_level: {per_level:g} of all weights a level leaves none at level {level}: ask for at most {most}, or "
            "give a rate, which is of the remaining weights"
        )
    return float(left)


SCHEDULES: Table[Schedule | RateOfLevel] = Table(
    "schedule",
    {
        "iterative": Schedule(iterative),
        "one-shot": Schedule(one_shot, _the_dense_level),
        "increasing": Schedule(increasing),
        "decreasing": Schedule(decreasing),
        "list": Schedule(as_listed),
    },
)
"""How much each level prunes, by name: `--schedule`."""


def schedule(name: str) -> Schedule:
    """Return the schedule of this name; a bare function in the table gives rates, and prunes the level before.

    Raises:
        ValueError: if there is none; suggests the nearest name.
    """
    entry = SCHEDULES.pick(name)
    return entry if isinstance(entry, Schedule) else Schedule(entry)
