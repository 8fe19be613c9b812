"""Ways to do the same, measured in turns so that a noisy machine troubles all alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Way = Callable[[int], float]
"""Does a number of steps, going on where it stood, and returns the seconds they took."""

Clock = Callable[[], float]

Turns = tuple[float, ...]
"""One value per turn."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        seconds: of one way in one turn.
        turns: how often each way is measured.
        mask_steps: steps a level of the study that LeNet's masks are taken from; 0 draws them at random.
        is_tiny: small networks and data, to see whether the bench works; the numbers then say nothing.
    """

    seconds: float = 0.2
    turns: int = 9
    mask_steps: int = 2000
    is_tiny: bool = False


WIDTH = 80
"""Characters of the table's first column."""

QUICK = Effort(seconds=0.005, turns=2, mask_steps=20, is_tiny=True)


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison, or one measurement by itself.

    Attributes:
        what: what is measured, and against what.
        unit: of `ours` and `theirs`.
        ours: our value in each turn.
        theirs: the other's in the same turns; None where there is no other.
        is_cost: whether less is better (seconds, megabytes).
        goal: what was to be reached on a machine with AVX-512; empty where nothing was set.
        labels: what figures and readers of the file tell rows apart by.
    """

    what: str
    unit: str
    ours: Turns
    theirs: Turns | None = None
    is_cost: bool = False
    goal: str = ""
    labels: dict[str, Any] = field(default_factory=dict)

    @property
    def ratios(self) -> Turns:
        """How many times better we are, turn by turn; empty where there is no other."""
        pairs = zip(self.ours, self.theirs or (), strict=self.theirs is not None)
        return tuple(other / mine if self.is_cost else mine / other for mine, other in pairs)

    def line(self) -> str:
        """For the table."""
        ours = f"{_short(statistics.median(self.ours)):>10}"
        if self.theirs is None:
            values, spread, ratio = self.ours, f"{_short(min(self.ours))} to {_short(max(self.ours))}", " " * 8
            theirs = " " * 10
        else:
            values, theirs = self.ratios, f"{_short(statistics.median(self.theirs)):>10}"
            spread, ratio = f"{min(values):.2f} to {max(values):.2f}", f"{statistics.median(values):7.2f}x"
        return (
            f"{self.what:{WIDTH}} {ours} {theirs} {self.unit:10} {ratio}  {self.goal:11} {spread}, {len(values)} turns"
        )

    def document(self) -> dict[str, Any]:
        """As JSON values: medians, ratio, and every turn."""
        ratios = self.ratios
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": statistics.median(self.ours),
            "theirs": statistics.median(self.theirs) if self.theirs is not None else None,
            "ratio": statistics.median(ratios) if ratios else None,
            "range": [min(ratios or self.ours), max(ratios or self.ours)],
            "goal": self.goal,
            "labels": self.labels,
            "turns": {"ours": self.ours, "theirs": self.theirs, "ratios": ratios},
        }


def _short(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def heading() -> str:
    """The table's first line."""
    return f"{'':{WIDTH}} {'ours':>10} {'theirs':>10} {'unit':10} {'ratio':>8}  {'goal':11} range"


def take_turns(ways: Mapping[str, Way], effort: Effort, ready: Callable[[], object] = lambda: None) -> dict[str, Turns]:
    """Seconds a step of each way, turn by turn; every other turn goes through them backwards.

    Args:
        ways: by name.
        effort: how long and how often.
        ready: called before each measurement; processes that measure side by side wait for one another here.
    """
    counts = warmed_up(ways, effort)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(effort.turns):
        for name in list(ways)[:: -1 if turn % 2 else 1]:
            ready()
            found[name].append(ways[name](counts[name]) / counts[name])
    return {name: tuple(times) for name, times in found.items()}


def warmed_up(ways: Mapping[str, Way], effort: Effort) -> dict[str, int]:
    """Steps of each way that take about a turn's seconds; all of them have run for a while."""
    counts = {}
    for name, way in ways.items():
        way(3)
        counts[name] = max(1, round(effort.seconds * 10 / way(10)))
        way(counts[name])
    return counts


def rates(times: Sequence[float]) -> Turns:
    """Steps a second from seconds a step."""
    return tuple(1 / each for each in times)


def timed(run: Callable[[], object], clock: Clock = time.process_time) -> float:
    """Seconds of one call.

    Args:
        run: the call.
        clock: by default the processor's time of this process. For one thread that is the wall time of a free core;
            while other programs run it is still close to it, and the wall time is not.
    """
    began = clock()
    run()
    return clock() - began
