"""Two cores: what a second one-thread process adds, and what a second thread adds to the usual loop."""

import time
from collections.abc import Callable, Iterator

from bench.cases import Case, lenet
from bench.loops import ours, usual
from bench.ratio import Effort, Row, Turns, Way, rates, take_turns, warmed_up
from bench.side_by_side import side_by_side
from lth.sparsity import Masks

LEVEL = 8

WAYS: dict[str, Callable[[Case], Way]] = {
    "sparse engine": lambda case: ours(case, "sparse"),
    "torch engine": lambda case: ours(case, "torch"),
    "usual loop": lambda case: usual(case, case.module()),
}


def worker_rows(effort: Effort) -> Iterator[Row]:
    """Steps a second of two processes together, over those of one alone."""
    case = lenet(LEVEL, effort)
    first, second = side_by_side(2, alone_and_together, effort, case.masks)
    for name in WAYS:
        alone, one = (rates(times) for times in first[name])
        other = rates(second[name][1])
        together = tuple(sum(pair) for pair in zip(one, other, strict=True))
        yield Row(f"{case.title}: {name}, two one-thread processes / one", "steps/s", together, alone)
    ways = {str(threads): usual(case, case.module(), threads, time.perf_counter) for threads in (1, 2)}
    found = {name: rates(times) for name, times in take_turns(ways, effort).items()}
    yield Row(f"{case.title}: usual loop, two threads / one (wall time)", "steps/s", found["2"], found["1"])


def alone_and_together(
    lane: int, wait: Callable[[], object], effort: Effort, masks: Masks
) -> dict[str, tuple[Turns, Turns]]:
    """Seconds a step of each way while the other process rests (of the first lane), and while both run."""
    case = lenet(LEVEL, effort, masks)
    ways = {name: make(case) for name, make in WAYS.items()}
    counts = warmed_up(ways, effort)
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
    for _ in range(effort.turns):
        for name, way in ways.items():
            alone, together = found[name]
            wait()
            if lane == 0:
                alone.append(way(counts[name]) / counts[name])
            wait()
            together.append(way(counts[name]) / counts[name])
    return {name: (tuple(alone), tuple(together)) for name, (alone, together) in found.items()}
