"""LeNet-300-100 by density: both engines against three ways of writing the loop."""

from collections.abc import Iterator

from bench.cases import LEVELS, lenet
from bench.loops import OPPONENTS, THEIRS, ours
from bench.ratio import Effort, Row, rates, take_turns

GOALS = {0: "3x", 8: "8x", 13: "18x", 20: "40x"}
"""Against the usual loop, by level."""


def lenet_rows(effort: Effort, levels: tuple[int, ...] = LEVELS) -> Iterator[Row]:
    """Steps a second in one thread, all five ways in the same turns."""
    for level in levels:
        case = lenet(level, effort)
        ways = {"sparse": ours(case, "sparse"), "torch": ours(case, "torch")}
        ways |= {name: make(case, case.module()) for name, make in OPPONENTS.items()}
        found = {name: rates(times) for name, times in take_turns(ways, effort).items()}
        for engine, opponent in [*(("sparse", name) for name in THEIRS), ("torch", "usual"), ("torch", "best")]:
            goal = GOALS.get(level, "") if (engine, opponent) == ("sparse", "usual") else ""
            yield Row(
                f"{case.title}: {engine} engine / {THEIRS[opponent]}",
                "steps/s",
                found[engine],
                found[opponent],
                goal=goal,
                labels={"density": case.density, "ours": engine, "theirs": opponent},
            )
