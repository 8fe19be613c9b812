"""Ratios of two ways to do the same, measured in turns so that a noisy machine troubles both alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: medians of both ways in `unit`, and the ratio of ours to theirs with its range over turns."""

    what: str
    ours: float
    theirs: float
    unit: str
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median over turns; above 1 we are better."""
        return statistics.median(self.ratios)

    def line(self) -> str:
        """For the table."""
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}, {len(self.ratios)} turns"
        return f"{self.what:58} {self.ours:9,.4g} {self.theirs:9,.4g} {self.unit:8} {self.ratio:6.2f}x  ({spread})"


def seconds(action: Callable[[], float | None]) -> float:
    """Wall time of one call, or what it measured itself."""
    began = time.perf_counter()
    measured = action()
    return time.perf_counter() - began if measured is None else measured


def compare_rates(
    what: str,
    ours: Callable[[], float | None],
    theirs: Callable[[], float | None],
    count: int,
    unit: str,
    turns: int,
) -> Row:
    """Rates of two ways that each do `count` units of work a call; the first call of each only warms up."""
    ours(), theirs()
    pairs = [(count / seconds(ours), count / seconds(theirs)) for _ in range(turns)]
    medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
    return Row(what, medians[0], medians[1], unit, tuple(a / b for a, b in pairs))
