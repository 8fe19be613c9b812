"""An observer that tells trackers what a build reports, and another observer all of it."""

from collections.abc import Mapping, Sequence

from lth.lineage import Observer, Plan
from lth.tracking.sender import Sender


class TrackedBuild:
    """Hands what happens to trackers, and to the observer that it stands before.

    A training that another process does is that process' to tell; the end tells what nobody has.

    Args:
        observer: the other one.
        senders: one a tracker.
    """

    def __init__(self, observer: Observer, senders: Sequence[Sender]) -> None:
        self._observer, self._senders = observer, senders
        self._started: set[str] = set()

    def evaluated(self, key: str, step: int, values: Mapping[str, float]) -> None:
        for sender in self._senders:
            sender.evaluated(key, (step, values))
        self._observer.evaluated(key, step, values)

    def started(self, key: str) -> None:
        self._started.add(key)
        self._observer.started(key)

    def finished(self, key: str) -> None:
        if key in self._started:
            for sender in self._senders:
                sender.finished(key)
        self._observer.finished(key)

    def planned(self, plan: Plan) -> None:
        self._observer.planned(plan)

    def progress(self, key: str, step: int, values: Mapping[str, float]) -> None:
        self._observer.progress(key, step, values)

    def sampled(self, key: str, step: int, text: str) -> None:
        self._observer.sampled(key, step, text)

    def skipped(self, key: str, reason: str) -> None:
        self._observer.skipped(key, reason)

    def waiting(self, keys: Sequence[str]) -> None:
        self._observer.waiting(keys)

    def noted(self, text: str) -> None:
        self._observer.noted(text)
