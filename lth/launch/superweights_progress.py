"""Progress of a search for super weights: one line in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Self

from lth.analysis.numbers import duration
from lth.lineage import Plan, Unobserved

PLAIN_SECONDS = 30.0
"""Longest time without a line."""


class Steps(Unobserved):
    """Count the jobs that are done, and say how long the rest takes."""

    def __init__(self, words: str) -> None:
        self.words, self._done, self._total = words, 0, 0
        self._began = self._last = time.monotonic()
        self._is_live = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_live and self._total:
            print(file=sys.stderr)

    def planned(self, plan: Plan) -> None:
        self._total = len(plan.works)
        if self._total:
            self._say(f"{self.words}: {self._total} job{'s' * (self._total != 1)} to do, {len(plan.done)} done already")

    def finished(self, key: str) -> None:
        self._done += 1
        if self._is_live or self._done == self._total or time.monotonic() - self._last > PLAIN_SECONDS:
            seconds = (time.monotonic() - self._began) / self._done * (self._total - self._done)
            left = f", {duration(seconds)} left" if self._done < self._total else ""
            self._say(f"{self.words}: {self._done} of {self._total}{left}")

    def waiting(self, keys: Sequence[str]) -> None:
        self._say(f"{self.words}: another process does what is needed; waiting")

    def noted(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        start, end = ("\r\x1b[K", "") if self._is_live else ("", "\n")
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)


def steps_observer() -> Callable[[str], Steps]:
    """Return what makes an observer."""
    return Steps
