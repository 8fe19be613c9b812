"""What lies beside a page: files to take away, and which of them a folder has."""

from collections.abc import Iterator
from pathlib import Path

from lth.analysis.csv_text import as_csv
from lth.analysis.documents import Results
from lth.analysis.flat_rows import flat_rows
from lth.report.latex import latex_table

FILES = ("results.json", "details.json", "rows.csv", "table.tex", "config.yaml")
"""Files of a report's folder that have a use outside it; with `*.csv` and the tickets, the whole list."""


def write_beside(results: Results, folder: Path) -> None:
    """Write `rows.csv`, each row of the results, and `table.tex`, the table of the page."""
    rows = flat_rows(results)
    axes = [name for row in results["rows"] for name in row["at"]]
    (folder / "rows.csv").write_text(as_csv(rows, ["arm", "replicate", *axes]), encoding="utf-8")
    (folder / "table.tex").write_text(latex_table(results), encoding="utf-8")


def files_beside(folder: Path) -> list[str]:
    """Return the files to take away that a folder has; of tickets the folder alone."""
    return list(_files(folder))


def _files(folder: Path) -> Iterator[str]:
    yield from (name for name in FILES if (folder / name).is_file())
    yield from (path.name for path in sorted(folder.glob("*.csv")) if path.name not in FILES)
    if any(folder.glob("tickets/*.ticket.safetensors")):
        yield "tickets/"
