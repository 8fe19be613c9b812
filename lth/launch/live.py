"""Progress in a terminal: one table that keeps itself up to date and fits the window."""

from typing import TYPE_CHECKING, Any

from lth.analysis.numbers import show
from lth.config.text import last_part, named_data
from lth.launch.tally import Tally
from lth.lineage import Plan

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

MOST_ROWS = 16
FEWEST_ROWS = 3
MOST_SAMPLE_LINES = 8


class LiveTable(Tally):
    """Show one table: a row for each place of the axis, each arm's validation value, pace and time left."""

    _live: "Live | None" = None

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def planned(self, plan: Plan) -> None:
        super().planned(plan)
        if plan.works:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            self._live = Live(console=console, get_renderable=lambda: self.view(console), refresh_per_second=4)
            self._live.start()

    def view(self, console: "Console") -> "Group":
        """Return what is shown: table, what it means, bar and note, in no more lines than the terminal has."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        width, height = console.size
        settings, share = self.study.settings, self.share_done
        data = named_data(settings.data, self.study.data_note)
        title = Text(f"{self.study.type.name}: {last_part(settings.model)} on {data}", style="italic")
        meaning = [Text(self.meaning, style="dim")] if self.values else []
        bar = Table.grid(padding=(0, 2))
        drawn = ProgressBar(total=1.0, completed=share, width=min(30, width // 3))
        bar.add_row(drawn, f"{100 * share:.0f} %", self.pace_words)
        note = [Text(self.note, style="yellow")] if self.note else []
        num_lines = sum(len(text.wrap(console, width)) for text in (title, *meaning, *note))
        sample = self._sample(console, min(MOST_SAMPLE_LINES, height - num_lines - 4 - FEWEST_ROWS))
        num_lines += len(sample)
        num_rows = max(FEWEST_ROWS, min(MOST_ROWS, height - num_lines - 4))  # head, rule, bar, and one to spare
        has_rows = bool(self.measured_arms) or len(self.places) > 1
        table = [self._table(self.shown_places(num_rows), width)] if has_rows else []
        return Group(title, *table, *meaning, bar, *note, *sample)

    def _sample(self, console: "Console", num_lines: int) -> "list[Text]":
        """Return the newest sample in at most so many lines; what a terminal would obey is left out."""
        from rich.text import Text

        shown = "".join(each if each.isprintable() or each == "\n" else " " for each in self.sample)
        lines = [part for line in shown.splitlines() for part in Text(line, style="dim").wrap(console, console.width)]
        return lines[: max(0, num_lines)]

    @property
    def meaning(self) -> str:
        """What the values are; where no arm is a training, what trainings have reached altogether."""
        unit = " in %" if self.metric.unit == "fraction" else ""
        if self.measured_arms:
            return f"validation {self.metric.name}{unit}, means so far; the verdict reads the test part"
        done, total = self.count_trainings()
        mean = sum(self.values.values()) / len(self.values)
        return f"{done} of {total} trainings done; validation {self.metric.name} {show(mean, self.metric)}"

    @property
    def pace_words(self) -> str:
        """How long it still takes, or why that is not known."""
        if self.share_done >= 1:
            return "trained; the results follow"
        return self.time_left or ("estimating the time left" if self.is_moving else "starting")

    def _table(self, places: list[Any], width: int) -> "Table":
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        has_density = any(self.density(place) is not None for place in places)
        head = [
            *([self.axis_words] if self.study.type.axis else []),
            *(["kept %"] if has_density else []),
            *self.measured_arms,
            "done",
        ]
        is_wide = sum(max(6, len(column)) + 3 for column in head) <= width
        padding = (0, 1) if is_wide else (0, 0)
        table = Table(header_style="bold", box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding)
        for column in head:
            table.add_column(column, justify="right", no_wrap=True)
        for place in places:
            done, total = self.count(place)
            density = self.density(place)
            kept = "" if density is None else f"{100 * density:.3g}"
            lead = [*([self.number(place)] if self.study.type.axis else []), *([kept] if has_density else [])]
            cells = [self._cell(place, arm) for arm in self.measured_arms]
            style = "dim" if done == 0 and not any(cells) else None
            table.add_row(*lead, *cells, f"{done}/{total}", style=style)
        return table

    def _cell(self, place: Any, arm: str) -> str:
        value = self.mean(place, arm)
        if value is not None:
            return show(value, self.metric).removesuffix(" %")
        keys = self.groups.get((place, arm), ())
        return "stored" if keys and all(self.is_stored(key) for key in keys) else ""

    def shown_places(self, num_rows: int) -> list[Any]:
        """Return the places around where the work is, and always the first one, the dense network's."""
        if len(self.places) <= num_rows:
            return self.places
        active = (index for index, place in enumerate(self.places) if self.count(place)[0] < self.count(place)[1])
        last = min(len(self.places), max(num_rows, next(active, len(self.places)) + 1 + num_rows // 3))
        return [self.places[0], *self.places[last - num_rows + 1 : last]]
