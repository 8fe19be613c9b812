"""Schedules over rounds: how dense each level is, and whose weights decide it. (Within training: `Sparsifier`.)"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

RateOfLevel = Callable[[float, int, Sequence[float]], float]
"""(rate, level, listed rates) -> fraction of the remaining weights that this level removes."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a study walks down in density.

    Attributes:
        words: what it does, for people.
        rate: the fraction of the remaining weights that a level removes.
        source: level -> the level whose trained weights are scored for it.
    """

    words: str
    rate: RateOfLevel
    source: Callable[[int], int]

    def density(self, rate: float, level: int, listed: Sequence[float] = ()) -> float:
        """Fraction of all weights kept at a level; 1 at level 0."""
        return float(prod(1 - self.rate(rate, each, listed) for each in range(1, level + 1)))


def constant(rate: float, level: int, listed: Sequence[float]) -> float:
    """The same rate at every level."""
    return rate


def increasing(rate: float, level: int, listed: Sequence[float]) -> float:
    """Once, twice, three and from then on four times the rate: 5, 10, 15, 20, 20 % for 0.05; at most 0.95."""
    return min(rate * min(level, 4), 0.95)


def decreasing(rate: float, level: int, listed: Sequence[float]) -> float:
    """The rate divided by the level: 60, 30, 20, 15 % for 0.6."""
    return rate / level


def as_listed(rate: float, level: int, listed: Sequence[float]) -> float:
    """The level's entry of the list.

    Raises:
        ValueError: if the list is too short.
    """
    if level > len(listed):
        raise ValueError(f"level_rates holds {len(listed)} rates, level {level} needs one more: list one per level")
    return listed[level - 1]


def _the_one_before(level: int) -> int:
    return level - 1


def _the_dense_one(level: int) -> int:
    return 0


SCHEDULES: dict[str, Schedule] = {
    "iterative": Schedule("Each level prunes the one before by the same rate.", constant, _the_one_before),
    "one-shot": Schedule("Each level is cut from the dense network at once.", constant, _the_dense_one),
    "increasing": Schedule(
        "As iterative; the rate rises to four times itself: 5, 10, 15, 20, 20 %.", increasing, _the_one_before
    ),
    "decreasing": Schedule(
        "As iterative; the rate is divided by the level: 60, 30, 20, 15 %.", decreasing, _the_one_before
    ),
    "list": Schedule("As iterative; the rates of --level-rates.", as_listed, _the_one_before),
}
"""Source: Frankle & Carbin 2019, arXiv:1803.03635, Section 2 (iterative, one-shot)."""
