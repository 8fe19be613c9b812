"""Where a training reports to: the seam between engines, which know no files, and the store, which trains nothing."""

from typing import Protocol

from lth.sparsity.types import Weights
from lth.training.history import History
from lth.training.snapshot import Snapshot


class Interrupted(Exception):
    """The training was asked to stop; its snapshot is saved."""


class Journal(Protocol):
    """What an engine tells, and asks, while it trains. Keys name members."""

    def resume(self, key: str) -> list[Snapshot]:
        """The last snapshots of this member, empty if it has not been trained in part."""

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None:
        """Keeps a snapshot, and the one before: members of a stack must find a step that they share."""

    def save_checkpoint(self, key: str, step: int, weights: Weights) -> None:
        """Keeps the whole state after `step` updates."""

    def progress(self, key: str, step: int, history: History) -> None:
        """Tells how far a member is."""

    def should_stop(self) -> bool:
        """Whether to save and stop now."""


class NoJournal:
    """Keeps nothing and never stops: for trainings in memory."""

    def resume(self, key: str) -> list[Snapshot]:
        """Nothing is kept, so there is nothing to resume."""
        return []

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None:
        """Drops it."""

    def save_checkpoint(self, key: str, step: int, weights: Weights) -> None:
        """Drops it."""

    def progress(self, key: str, step: int, history: History) -> None:
        """Drops it."""

    def should_stop(self) -> bool:
        """Never."""
        return False
