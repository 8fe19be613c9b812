"""One thread a tracker: training hands over what happens and goes on; a tracker that fails or hangs is left behind."""

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lth.tracking.tell import Teller
from lth.tracking.tracker import Row

MOST_WAITING = 10_000
"""Values that wait for a tracker; where more do, the rest comes from the store when a training is finished."""

PATIENCE_SECONDS = 30.0
"""How long a tracker may take over one call, once training is done and it alone is waited for."""

INTERRUPTED_SECONDS = 5.0
"""The same after Ctrl-C, or an error."""

MOST_AT_ONCE = 500
"""Values that are told in one call."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a study found: sentences, and files by what they are."""

    verdict: Sequence[str]
    files: Mapping[str, Sequence[Path]]


class Sender:
    """Tells a tracker what happens, in a thread of its own that nobody waits for before the end.

    Args:
        teller: tells one tracker of one study.
        later: the command that sends later what cannot be sent now.
    """

    def __init__(self, teller: Teller, later: str) -> None:
        self._teller, self._later = teller, later
        self._queue: queue.Queue[tuple[str, Row | None]] = queue.Queue(MOST_WAITING)
        self._left_out: set[str] = set()
        self._failed, self._closing = threading.Event(), threading.Event()
        self._finding: Finding | None = None
        self._moved_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"lth tracker {teller.name}", daemon=True)
        self._thread.start()

    def evaluated(self, key: str, row: Row) -> None:
        """Hand over values of a training. Where too many wait, the training is left to the store from here on."""
        if key not in self._left_out and not self._failed.is_set():
            try:
                self._queue.put_nowait((key, row))
            except queue.Full:
                self._left_out.add(key)

    def finished(self, key: str) -> None:
        """Hand over that a training lies in the store."""
        if not self._failed.is_set():
            with contextlib.suppress(queue.Full):  # the end looks at all of them
                self._queue.put_nowait((key, None))

    def close(self, finding: Finding | None, *, is_interrupted: bool = False) -> None:
        """Wait until the tracker has been told what is left, as long as it moves.

        Args:
            finding: what the study found, told after all that the store holds; None where it was not concluded: then
                what waits alone is told.
            is_interrupted: whether somebody waits for this process to end.
        """
        self._finding = finding
        self._moved_at = time.monotonic()
        self._closing.set()
        patience = INTERRUPTED_SECONDS if is_interrupted else PATIENCE_SECONDS
        while self._thread.is_alive():
            self._thread.join(0.05)
            if time.monotonic() - self._moved_at > patience:
                self._fail(f"it does not answer for {patience:g} s")
                return

    def _run(self) -> None:
        try:
            self._tell()
        except Exception as error:  # whatever a tracker raises: no training stops for it
            self._fail(" ".join(str(error).split())[:200] or type(error).__name__)

    def _tell(self) -> None:
        """Do one thing after the other, until all is told or the tracker was given up."""
        for call in self._calls():
            if self._failed.is_set():
                return
            call()
            self._moved_at = time.monotonic()

    def _calls(self) -> Iterator[Callable[[], object]]:
        """Give what is to be told: what waits, then what the store holds beyond, then what was found."""
        teller = self._teller
        yield teller.begin
        while (waiting := self._waiting()) or not self._closing.is_set():
            for key, rows, is_finished in grouped(waiting):
                yield partial(teller.rows, key, rows)
                if is_finished:
                    yield partial(teller.stored, key)
        if self._finding is not None:
            for key in teller.keys:
                yield partial(teller.stored, key)
            yield partial(teller.conclude, self._finding.verdict, self._finding.files)
        yield teller.end

    def _waiting(self) -> list[tuple[str, Row | None]]:
        """Return what waits; wait a little where nothing does."""
        waiting: list[tuple[str, Row | None]] = []
        try:
            waiting.append(self._queue.get(timeout=0.05 if self._closing.is_set() else 0.2))
            while len(waiting) < MOST_AT_ONCE:
                waiting.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return waiting

    def _fail(self, reason: str) -> None:
        if not self._failed.is_set():
            self._failed.set()
            print(
                f"lth: tracker {self._teller.name}: {reason}. Training goes on; `{self._later}` sends it later",
                file=sys.stderr,
                flush=True,
            )


def grouped(waiting: Sequence[tuple[str, Row | None]]) -> list[tuple[str, list[Row], bool]]:
    """Return the rows of each training together, in their order, and whether it is finished."""
    rows: dict[str, list[Row]] = {}
    finished: set[str] = set()
    for key, row in waiting:
        own = rows.setdefault(key, [])
        if row is None:
            finished.add(key)
        else:
            own.append(row)
    return [(key, own, key in finished) for key, own in rows.items()]
