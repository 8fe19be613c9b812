"""What masks cost where the arithmetic stays dense: the torch engine, gradient hooks, `torch.nn.utils.prune`."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from bench.cases import Case, lenet, networks
from bench.loops import best, best_with_hooks, best_with_prune, ours
from bench.ratio import Effort, Row, Way, take_turns

PATIENCE = 3
"""Times as many turns as elsewhere: a few percent drown in the noise of a few turns."""

MASKED: dict[str, Callable[[Case], Way]] = {
    "torch engine": lambda case: ours(case, "torch"),
    "gradient hooks": lambda case: best_with_hooks(case, case.module()),
    "torch.nn.utils.prune": lambda case: best_with_prune(case, case.module()),
}


def mask_rows(effort: Effort) -> Iterator[Row]:
    """Percent that masks add to a step, each against the same loop without masks."""
    for case in [lenet(8, effort), *networks(effort)]:
        whole = replace(case, masks={})
        ways = {name: make(case) for name, make in MASKED.items()}
        ways |= {"without, engine": ours(whole, "torch"), "without": best(whole, whole.module())}
        times = take_turns(ways, replace(effort, turns=PATIENCE * effort.turns, seconds=effort.seconds / 2))
        for name in MASKED:
            base = times["without, engine" if name == "torch engine" else "without"]
            added = tuple(100 * (masked / plain - 1) for masked, plain in zip(times[name], base, strict=True))
            goal = "at most 2" if name == "torch engine" else ""
            yield Row(f"cost of masks, {case.title}: {name}", "% of step", added, is_cost=True, goal=goal)
