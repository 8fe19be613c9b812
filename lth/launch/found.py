"""What a study left, for people in a notebook or a script."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lth.analysis.documents import Details, Results, Verdict, read_documents
from lth.analysis.flat_rows import flat_rows
from lth.analysis.labels import folder_called
from lth.analysis.notes import report_folder

if TYPE_CHECKING:
    import altair
    import pandas


MOST_ROWS = 6
"""Rows of the table that `print` shows."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Found:
    """What a study left: prints as a few lines, and shows as a table in a notebook.

    Attributes:
        results: the results document (docs/results.md).
        folder: report.html, results.json, details.json, config.yaml, figures/ and tickets/.
        skipped: key and reason of each job that could not be done, because a training before it diverged.
    """

    results: Results
    folder: Path
    skipped: dict[str, str]

    @property
    def id(self) -> str:
        """The study's ID."""
        return self.results["id"]

    @property
    def verdict(self) -> Verdict:
        """The verdict, in numbers and in `sentences`."""
        return self.results["verdict"]

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "report.html"

    @property
    def tickets(self) -> list[Path]:
        """The ticket files, by level and replicate."""
        return sorted((self.folder / "tickets").glob("*.ticket.safetensors"))

    @property
    def details(self) -> Details:
        """The details document."""
        return read_documents(self.folder)[1]

    def ticket(self, level: int | None = None, replicate: int = 0) -> Any:
        """Return a ticket: by default that of the verdict's level, else of the last one.

        Raises:
            ValueError: if there is none.
        """
        from lth.lineage import read_ticket

        chosen = self.verdict["at"].get("level") if level is None else level
        names = {path.name: path for path in self.tickets}
        if not names:
            raise ValueError(f"study {self.id} left no tickets")
        if chosen is None:
            last = [path for name, path in names.items() if name.endswith(f"replicate-{replicate}.ticket.safetensors")]
            return read_ticket(last[-1] if last else self.tickets[-1])
        name = f"level-{int(chosen):02d}-replicate-{replicate}.ticket.safetensors"
        if name not in names:
            raise ValueError(f"no ticket of level {chosen}, replicate {replicate}. There are: {', '.join(names)}")
        return read_ticket(names[name])

    def frame(self) -> "pandas.DataFrame":
        """Return the rows as a tidy data frame: a line for each measurement, a column for each number.

        Raises:
            ImportError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("a data frame needs pandas: pip install pandas") from error
        return pandas.DataFrame(flat_rows(self.results))

    def figure(self, name: str | None = None) -> "altair.TopLevelMixin":
        """Return a figure as an Altair chart: by its name (`quality`, `early_stopping`), or the first one."""
        from lth.report import chart, read_study

        return chart(read_study(self.folder), name)

    def __repr__(self) -> str:
        from lth.analysis.table import aligned, caption, text_table

        head, *rows = text_table(self.results)
        few = self._few(rows)
        lines = [caption(self.results), *aligned([head, *few])]
        lines += [f"({len(few)} of {len(rows)} rows; all in the report, and in frame())"] * (len(few) < len(rows))
        sentences = self.verdict["sentences"][:1]
        return "\n".join([self.verdict["title"], *sentences, "", *lines, "", f"Report: {self.report}"])

    def _few(self, rows: list[list[str]]) -> list[list[str]]:
        """Return the first row, those around the verdict's place, and the last ones: MOST_ROWS at most."""
        place = self.verdict["at"].get(self.results["axis"] or "")
        name = f"{place:g}" if isinstance(place, int | float) else place
        at = next((index for index, row in enumerate(rows) if row[0] == name), 1)
        last = len(rows) - 1
        wanted = dict.fromkeys((0, at, last, at + 1, at - 1, last - 1, last - 2, 1, 2, 3))
        return [rows[index] for index in sorted([each for each in wanted if 0 <= each <= last][:MOST_ROWS])]

    def _repr_html_(self) -> str:
        from lth.analysis.table import caption, text_table

        head, *rows = text_table(self.results)
        columns = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        sentence = escape(self.verdict["sentences"][0])
        return (
            f"<p><b>{escape(self.verdict['title'])}</b></p><p>{sentence}</p>"
            f"<table><caption>{escape(caption(self.results))}</caption><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>"
        )


def results(name: str, store: str | Path = "lth-store") -> Found:
    """Return what a finished study left, by its name, the beginning of its ID, or the folder of its report.

    Raises:
        ValueError: if there is no such study, or several.
    """
    if (Path(name) / "results.json").is_file():
        folder = Path(name)
    else:
        study = folder_called(str(name), Path(store))
        folder = report_folder(study) or study
    return Found(read_documents(folder)[0], folder, {})
