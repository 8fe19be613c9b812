"""What an executor is: the part of a build that runs jobs."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

import torch

from lth.lineage.plan import Work


@dataclass(frozen=True, slots=True)
class Report:
    """What an executor says of a work.

    Attributes:
        what: `progress`, `evaluated`, `sampled`, `done`, `stopped`, `lost` (another process has taken it over),
            `refused` (an error with a message for users) or `failed`.
        key: of the job.
        step: how far it is.
        values: by `part/metric`: the last ones, or those of an evaluation.
        text: the error, or what was sampled.
        traceback: where it came from.
    """

    what: Literal["progress", "evaluated", "sampled", "done", "stopped", "lost", "refused", "failed"]
    key: str
    step: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    text: str = ""
    traceback: str = ""

    @property
    def is_last(self) -> bool:
        """Whether the work is over with it."""
        return self.what not in ("progress", "evaluated", "sampled")


OnReport = Callable[[Report], None]


class Executor(Protocol):
    """Runs works; reports go to the function that it was made with. Used in a `with` statement."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def room(self) -> int:
        """Return how many works of one kind can be submitted together now; 0 if none can."""

    def submit(self, works: Sequence[Work], engine: str) -> None:
        """Start some works of one kind, as one program; an executor in this process returns when they are done."""

    def wait(self, timeout: float) -> None:
        """Take in what running works have to report; wait up to `timeout` seconds for the first word."""

    def stop(self) -> None:
        """Ask running works to save a snapshot and stop, and wait for them."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread and flush denormals, as in a worker process, so that the numbers are the same."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
