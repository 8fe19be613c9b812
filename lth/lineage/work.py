"""What a job reports while it runs, and asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Progress = Callable[[str, int, Mapping[str, float]], None]
"""(key, step, last values by `part/metric`)"""


@dataclass(frozen=True, slots=True, eq=False)
class Hooks:
    """What a job reports while it runs, and asks.

    Attributes:
        progress: takes how far a job is.
        should_stop: whether to save and stop now.
        is_forced: whether the engine was asked for by name: it then starts over what another one began.
    """

    progress: Progress = lambda key, step, values: None
    should_stop: Callable[[], bool] = lambda: False
    is_forced: bool = False


class Diverged(Exception):
    """A result cannot be derived because the training that it stands on diverged."""
