"""Progress of a build: one live table in a terminal, a bar in a notebook, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lth.analysis.numbers import duration, show
from lth.launch.live import LiveTable
from lth.launch.tally import Quiet, Tally
from lth.lineage import Execution, Plan, Store
from lth.studies.prepare import Study

PLAIN_SECONDS = 30.0
"""Longest time without a line."""


class Plain(Tally):
    """Print one line when a place is done, and one every half minute."""

    def planned(self, plan: Plan) -> None:
        super().planned(plan)
        self._last = time.monotonic()
        self._said: set[Any] = set()
        stored = f", {self.num_stored} done already" if self.num_stored else ""
        expected = f", about {duration(seconds)}" if (seconds := self.seconds_left) else ""
        self._say(f"{len(plan.works)} jobs to do{stored}: {plan.steps:,} steps{expected}")
        if plan.works and self.measured_arms:
            self._say("lines show the validation part, the verdict reads the test part")
        if plan.works:
            self._say_places()

    def progress(self, key: str, step: int, values: Mapping[str, float]) -> None:
        super().progress(key, step, values)
        if time.monotonic() - self._last > PLAIN_SECONDS:
            self._say(f"{100 * self.share_done:.0f} % done, {self.time_left}")

    def finished(self, key: str) -> None:
        super().finished(key)
        self._say_places()

    def _say_places(self) -> None:
        """Print a line for each place that is done, in their order."""
        for place in [place for place in self.places if place not in self._said]:
            done, total = self.count(place)
            if done < total:
                break
            self._said.add(place)
            means = [(arm, self.mean(place, arm)) for arm in self.arms]
            cells = "  ".join(f"{arm} {show(value, self.metric)}" for arm, value in means if value is not None)
            what = f"validation {self.metric.name}: {cells}" if cells else "done"
            self._say(f"{self.place_words(place):24} {what}   {self.time_left}".strip())

    def waiting(self, keys: Sequence[str]) -> None:
        if not self.note:
            super().waiting(keys)
            self._say(self.note)

    def noted(self, text: str) -> None:
        self._say(text)

    def skipped(self, key: str, reason: str) -> None:
        super().skipped(key, reason)
        self._say(f"left out: {reason}")

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        print(text.rstrip(" ,"), file=sys.stderr, flush=True)


class Bar(Tally):
    """Show one bar, as tqdm draws it in a notebook."""

    _bar: Any = None

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def planned(self, plan: Plan) -> None:
        super().planned(plan)
        if plan.works:
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=100,
                desc=self.study.type.name,
                unit="%",
                bar_format="{desc}: {percentage:3.0f}% |{bar}| {postfix}",
            )

    def progress(self, key: str, step: int, values: Mapping[str, float]) -> None:
        super().progress(key, step, values)
        self._draw()

    def finished(self, key: str) -> None:
        super().finished(key)
        self._draw()

    def _draw(self) -> None:
        if self._bar is not None:
            self._bar.n = round(100 * self.share_done)
            self._bar.set_postfix_str(self.time_left)


def make_progress(
    *,
    is_quiet: bool = False,
    notes: Sequence[str] = (),
    execution: Execution | None = None,
    store: Store | None = None,
) -> Callable[[Study], Quiet]:
    """Return what makes the observer that fits where the output goes; it prints `notes` before anything is trained.

    Args:
        is_quiet: show nothing.
        notes: lines.
        execution: how jobs run: what they cost, and the devices whose peaks the speed is set beside.
        store: where results are, whose speeds tell how long it takes until the build's own does.
    """
    kind: type[Quiet] = Quiet if is_quiet else Bar if _in_notebook() else LiveTable if sys.stderr.isatty() else Plain
    return lambda study: kind(study, notes, execution, store)


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
