"""A GPU, where there is one: many networks side by side in the time of one."""

from collections.abc import Iterator

import torch

from bench.cases import lenet, networks
from bench.loops import ours
from bench.ratio import Effort, Row, take_turns

MEMBERS = 16


def gpu_rows(effort: Effort, device: str = "cuda", members: int = MEMBERS) -> Iterator[Row]:
    """How many times as long a step of all members takes as one of a single network; nothing without a GPU."""
    if device == "cuda" and not torch.cuda.is_available():
        return
    for case in [lenet(8, effort), networks(effort)[0]]:
        ways = {str(size): ours(case, "torch", size, device) for size in (1, members)}
        times = take_turns(ways, effort)
        longer = tuple(many / one for many, one in zip(times[str(members)], times["1"], strict=True))
        what = f"{case.title}: a step of {members} networks on a GPU / of one"
        yield Row(what, "times", longer, is_cost=True, goal="at most 1.5")
