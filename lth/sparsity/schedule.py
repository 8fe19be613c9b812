"""Schedules: how dense each level is, and whose weights decide it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a study walks down in density.

    Attributes:
        density: (rate, level) -> fraction of all weights kept at that level.
        source: level -> the level whose trained weights are scored for it.
    """

    density: Callable[[float, int], float]
    source: Callable[[int], int]


def remaining(rate: float, level: int) -> float:
    """Density after `level` removals of `rate` of the weights that remain, rate in (0, 1)."""
    return float((1 - rate) ** level)


iterative = Schedule(density=remaining, source=lambda level: level - 1)
"""Prune, rewind and train again, level after level. Source: Frankle & Carbin 2019, arXiv:1803.03635, Section 2."""

one_shot = Schedule(density=remaining, source=lambda level: 0)
"""Each level is cut from the dense network at once. Source: Frankle & Carbin 2019, arXiv:1803.03635, Section 2."""

SCHEDULES: dict[str, Schedule] = {"iterative": iterative, "one-shot": one_shot}
