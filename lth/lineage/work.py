"""What a job reports while it runs, and asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Progress = Callable[[str, int, Mapping[str, float]], None]
"""(key, step, last values by `part/metric`)"""

Evaluated = Callable[[str, int, Mapping[str, float]], None]
"""(key, step, values by `part/metric`)"""

Sampled = Callable[[str, int, str], None]
"""(key, step, text)"""


@dataclass(frozen=True, slots=True, eq=False)
class Hooks:
    """What a job reports while it runs, and asks.

    Attributes:
        progress: takes how far a job is.
        evaluated: takes what each evaluation measured.
        should_stop: whether to save and stop now.
        is_forced: whether the engine was asked for by name: it then starts over what another one began.
        prompt: text that language models go on from at evaluations; None draws no text.
        sampled: takes such text: of networks that train together, the first one's.
        is_ours: whether this process still has the lease of a work, by key; otherwise another has taken it over.
    """

    progress: Progress = lambda key, step, values: None
    evaluated: Evaluated = lambda key, step, values: None
    should_stop: Callable[[], bool] = lambda: False
    is_forced: bool = False
    prompt: str | None = None
    sampled: Sampled = lambda key, step, text: None
    is_ours: Callable[[str], bool] = lambda key: True


class Diverged(Exception):
    """A result cannot be derived because the training that it stands on diverged."""
