"""What masks cost where the arithmetic stays dense: the torch engine, gradient hooks, `torch.nn.utils.prune`."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace

from bench.cases import Case, lenet, networks
from bench.loops import best, best_with_hooks, best_with_prune, ours
from bench.ratio import Effort, Row, Way, take_turns

SHORT = 15
"""A few percent drown in the noise of long turns: each is cut into so many short ones, of which the median counts."""

MASKED: dict[str, Callable[[Case], Way]] = {
    "torch engine": lambda case: ours(case, "torch"),
    "gradient hooks": lambda case: best_with_hooks(case, case.module()),
    "torch.nn.utils.prune": lambda case: best_with_prune(case, case.module()),
}


def mask_rows(effort: Effort) -> Iterator[Row]:
    """Percent that masks add to a step, each against the same loop without masks."""
    short = 1 if effort.is_tiny else SHORT
    for case in [lenet(8, effort), *networks(effort)]:
        dense = replace(case, masks={})
        ways = {name: make(case) for name, make in MASKED.items()}
        ways |= {"without, engine": ours(dense, "torch"), "without": best(dense, dense.module())}
        times = take_turns(ways, replace(effort, turns=short * effort.turns, seconds=2 * effort.seconds / short))
        for name in MASKED:
            base = times["without, engine" if name == "torch engine" else "without"]
            added = [100 * (masked / plain - 1) for masked, plain in zip(times[name], base, strict=True)]
            medians = tuple(statistics.median(added[turn * short :][:short]) for turn in range(effort.turns))
            goal = "at most 2" if name == "torch engine" else ""
            yield Row(f"cost of masks, {case.title}: {name}", "% of step", medians, is_cost=True, goal=goal)
