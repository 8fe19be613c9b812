"""Where a training reports to: the seam between engines, which know no files, and the store, which trains nothing."""

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from lth.sparsity.types import State
from lth.training.history import History
from lth.training.snapshot import Snapshot


class Interrupted(Exception):
    """The training was asked to stop; its snapshot is saved."""


class Journal(Protocol):
    """What an engine reports, and asks, while it trains. Keys name members.

    Attributes:
        checkpoints: steps whose full state is wanted.
        until: stop after this many steps in total, without reading the test parts; None for the training's end.
    """

    checkpoints: Collection[int]
    until: int | None

    def resume(self, key: str) -> Iterable[Snapshot]:
        """Return the last snapshots of this member, newest first; none if it has not been trained in part."""

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None:
        """Keep a snapshot, and the one before: members of a stack must find a step that they share."""

    def save_checkpoint(self, key: str, step: int, state: State) -> None:
        """Keep the full state after `step` steps."""

    def progress(self, key: str, step: int, history: History) -> None:
        """Take note of how far a member is."""

    def evaluated(self, key: str, step: int, seconds: float | None, state: Callable[[], State]) -> None:
        """Take note that a member was measured.

        Args:
            key: of the member.
            step: optimizer steps done.
            seconds: wall time of one step since it was measured before, of all members that train together; None where
                no step was done since, as at the start.
            state: gives a copy on the CPU of its full state.
        """

    def should_stop(self) -> bool:
        """Return whether to save and stop now."""


class NoJournal:
    """Keep nothing and never stop: for trainings in memory."""

    checkpoints: Collection[int] = ()

    def __init__(self, until: int | None = None) -> None:
        self.until = until

    def resume(self, key: str) -> Iterable[Snapshot]:
        return ()

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None: ...
    def save_checkpoint(self, key: str, step: int, state: State) -> None: ...
    def progress(self, key: str, step: int, history: History) -> None: ...
    def evaluated(self, key: str, step: int, seconds: float | None, state: Callable[[], State]) -> None: ...

    def should_stop(self) -> bool:
        return False
