"""Progress of a build: one live table in a terminal, plain lines elsewhere."""

import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from lth.cli.plan import in_words
from lth.lineage.agenda import Unobserved

WINDOW_SECONDS = 15.0
PLAIN_SECONDS = 30.0
MOST_ROWS = 12


class Quiet(Unobserved):
    """Shows nothing."""

    def attach(self, study: Any) -> "Quiet":
        """Observes this study."""
        return self

    def __enter__(self) -> "Quiet":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to clear away."""


class Tally(Quiet):
    """Counts what is done, how fast, and what each arm of each level has reached.

    Args:
        notes: lines to say before anything is trained.
    """

    def __init__(self, notes: Sequence[str] = ()) -> None:
        self._notes = notes

    def attach(self, study: Any) -> "Tally":
        """Observes this study."""
        self.study = study
        self.runs = {run.trained.key: run for run in study.runs}
        self.arms = ["ticket", *study.config.controls]
        self.accuracy: dict[str, float] = {}
        self.steps: dict[str, int] = {}
        self.done: set[str] = set()
        self.note = ""
        self._recent: deque[tuple[float, int]] = deque()
        return self

    def planned(self, plan: Any) -> None:
        """Notes what there is to do, and says what was to be said before."""
        for line in self._notes if plan.works else ():
            print(line, file=sys.stderr, flush=True)
        self.total = {work.key: work.steps for work in plan.works}
        self.first = {work.key: work.trained.first_step for work in plan.works}
        self.done = {trained.key for trained in plan.done} - self.total.keys()
        self.num_found = len(self.done)

    def progress(self, key: str, step: int, accuracy: float | None) -> None:
        """Notes where a training is."""
        before = self.steps.get(key)
        now = step - self.first.get(key, 0)
        # The first word tells where a training starts, which after a resume is not the beginning.
        self._recent.append((time.monotonic(), 0 if before is None else now - before))
        self.steps[key] = now
        if before is not None:
            self.note = ""
        if accuracy is not None:
            self.accuracy[key] = accuracy

    def finished(self, key: str) -> None:
        """Notes that a training is done."""
        if key in self.steps:
            self._recent.append((time.monotonic(), max(0, self.total[key] - self.steps[key])))
        self.steps[key] = self.total.get(key, 0)
        self.done.add(key)

    def skipped(self, key: str, reason: str) -> None:
        """Notes that a training is left out."""
        self.steps[key] = self.total.get(key, 0)
        self.done.add(key)
        self.note = f"left out: {reason}"

    def waiting(self, keys: Sequence[str]) -> None:
        """Notes that another process does what we need."""
        self.note = f"another process trains what is needed; waiting ({len(keys)} to do)"

    def noted(self, text: str) -> None:
        """Shows it until the next progress."""
        self.note = text

    @property
    def steps_per_second(self) -> float:
        """Optimizer steps a second of all trainings together, over the last seconds."""
        now = time.monotonic()
        while self._recent and self._recent[0][0] < now - WINDOW_SECONDS:
            self._recent.popleft()
        if not self._recent:
            return 0.0
        seconds = now - self._recent[0][0]
        return sum(steps for _, steps in self._recent) / seconds if seconds > 1.0 else 0.0

    @property
    def share_done(self) -> float:
        """Fraction of the planned steps that are done."""
        total = sum(self.total.values())
        return sum(min(self.steps.get(key, 0), steps) for key, steps in self.total.items()) / total if total else 1.0

    @property
    def time_left(self) -> str:
        """In words; empty while the speed is not known."""
        speed = self.steps_per_second
        left = sum(max(0, steps - self.steps.get(key, 0)) for key, steps in self.total.items())
        return f"{in_words(left / speed)} left" if speed and left else ""

    @property
    def pace(self) -> str:
        """Speed and time left, in words; empty while the speed is not known."""
        return f"{self.steps_per_second:,.0f} steps/s, {self.time_left}" if self.steps_per_second else ""

    def mean_accuracy(self, level: int, arm: str) -> float | None:
        """Mean of the last validation accuracies of one arm; None before the first."""
        arm = "dense" if level == 0 and arm == "ticket" else arm
        found = [
            self.accuracy[key]
            for key, run in self.runs.items()
            if run.level == level and run.arm == arm and key in self.accuracy
        ]
        return sum(found) / len(found) if found else None

    def count(self, level: int) -> tuple[int, int]:
        """Trainings done and in all, of a level."""
        keys = [key for key, run in self.runs.items() if run.level == level]
        return sum(key in self.done for key in keys), len(keys)


class Plain(Tally):
    """One line when a level is done, and one every half minute."""

    def planned(self, plan: Any) -> None:
        """Says what there is to do."""
        super().planned(plan)
        self._last = time.monotonic()
        self._told: set[int] = set()
        found = f", {self.num_found} found in the store" if self.num_found else ""
        self._say(f"{len(plan.works)} trainings to do{found}: {plan.steps:,} steps")

    def progress(self, key: str, step: int, accuracy: float | None) -> None:
        """Says now and then how it goes."""
        super().progress(key, step, accuracy)
        if time.monotonic() - self._last > PLAIN_SECONDS:
            self._say(f"{100 * self.share_done:.0f} % done, {self.pace}")

    def finished(self, key: str) -> None:
        """Says when a level is done."""
        super().finished(key)
        for level in sorted({run.level for run in self.runs.values()} - self._told):
            done, total = self.count(level)
            if done < total:
                break
            self._told.add(level)
            arms = [(arm, self.mean_accuracy(level, arm)) for arm in self.arms]
            shown = "  ".join(
                f"{'dense' if level == 0 and arm == 'ticket' else arm} {100 * accuracy:.2f} %"
                for arm, accuracy in arms
                if accuracy is not None
            )
            self._say(
                f"level {level:2} of {self.study.config.levels}, {100 * self.study.densities[level]:5.1f} % kept   "
                f"{f'validation: {shown}' if shown else 'found in the store'}   {self.pace}"
            )

    def waiting(self, keys: Sequence[str]) -> None:
        """Says once that another process is at work."""
        if not self.note:
            super().waiting(keys)
            self._say(self.note)

    def noted(self, text: str) -> None:
        """Says it."""
        self._say(text)

    def skipped(self, key: str, reason: str) -> None:
        """Says what is left out."""
        super().skipped(key, reason)
        run = self.runs[key]
        self._say(f"level {run.level} {run.arm}, replicate {run.replicate}, left out: {reason}")

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        print(text.rstrip(" ,"), file=sys.stderr, flush=True)


class Live(Tally):
    """One table: a row a level, validation accuracy of each arm, speed and time left."""

    _live: Any = None

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def planned(self, plan: Any) -> None:
        """Puts the table up."""
        super().planned(plan)
        if plan.works:
            from rich.console import Console
            from rich.live import Live as RichLive

            self._live = RichLive(console=Console(stderr=True), get_renderable=self._render, refresh_per_second=4)
            self._live.start()

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        config = self.study.config
        table = Table(title=f"{config.model} on {config.data}", title_justify="left", header_style="bold")
        for column in ("level", "kept", *self.arms, "done"):
            table.add_column(column, justify="right")
        for level in self._shown_levels():
            done, total = self.count(level)
            cells = [self._cell(level, arm) for arm in self.arms]
            style = "dim" if done == 0 and not any(cells) else None
            row = (
                str(level) if level else "dense",
                f"{100 * self.study.densities[level]:.1f} %",
                *cells,
                f"{done}/{total}",
            )
            table.add_row(*row, style=style)
        speed = f"{self.steps_per_second:,.0f} steps/s" if self.steps_per_second else "starting"
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(total=1.0, completed=self.share_done, width=30),
            f"{100 * self.share_done:.0f} %",
            speed,
            self.time_left,
        )
        caption = Text("validation accuracy, mean over replicates so far", style="dim")
        return Group(table, caption, bar, *([Text(self.note, style="yellow")] if self.note else []))

    def _cell(self, level: int, arm: str) -> str:
        accuracy = self.mean_accuracy(level, arm)
        return "" if accuracy is None else f"{100 * accuracy:.2f} %"

    def _shown_levels(self) -> list[int]:
        """Levels around where the work is, so that the table fits a small terminal."""
        levels = range(self.study.config.levels + 1)
        active = [level for level in levels if self.count(level)[0] < self.count(level)[1]]
        last = min(len(levels), max(MOST_ROWS, (active[0] if active else len(levels)) + MOST_ROWS // 3))
        return list(levels[max(0, last - MOST_ROWS) : last])


def make_observer(is_quiet: bool, notes: Sequence[str] = ()) -> Any:
    """The observer that fits where the output goes; it says `notes` before anything is trained."""
    if is_quiet:
        return Quiet()
    return Live(notes) if sys.stderr.isatty() else Plain(notes)
