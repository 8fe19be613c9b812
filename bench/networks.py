"""Networks that the torch engine trains: convolutions and attention."""

from collections.abc import Iterator

from bench.cases import networks
from bench.loops import OPPONENTS, THEIRS, ours
from bench.ratio import Effort, Row, rates, take_turns

GOALS = {"small conv net": "1.3x", "two-block transformer": "1.4x"}


def network_rows(effort: Effort) -> Iterator[Row]:
    """Steps a second in one thread against the usual loop and against plain PyTorch at its best."""
    for case in networks(effort):
        ways = {"torch": ours(case, "torch")}
        ways |= {name: OPPONENTS[name](case, case.module()) for name in ("usual", "best")}
        found = {name: rates(times) for name, times in take_turns(ways, effort).items()}
        for opponent in ("usual", "best"):
            goal = next(goal for start, goal in GOALS.items() if case.name.startswith(start))
            yield Row(
                f"{case.title}: torch engine / {THEIRS[opponent]}",
                "steps/s",
                found["torch"],
                found[opponent],
                goal=goal if opponent == "usual" else "",
            )
