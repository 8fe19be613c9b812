"""The files of a study that can be taken away: named here, so that no address names a path."""

from collections.abc import Iterator
from pathlib import Path

from lth.analysis.notes import DERIVATION, report_folder
from lth.report.pictures import KINDS

STORED = ("results.json", "details.json", "reproduction.json", "study.json", DERIVATION)
"""Files of a study's folder in the store."""

PICTURES = tuple(f"figures/*.{kind}" for kind in KINDS)
REPORTED = ("*.csv", "table.tex", "config.yaml", "report.html", *PICTURES, "tickets/*.ticket.safetensors")
"""Files of the folder of its report."""


def study_files(folder: Path) -> dict[str, Path]:
    """Return the files of a study by the name that they are offered under.

    Args:
        folder: of the study in the store.
    """
    offered = {path.name: path for name in STORED for path in _inside(folder, name)}
    report = report_folder(folder)
    if report is not None:
        for pattern in REPORTED:
            offered |= {path.relative_to(report).as_posix(): path for path in _inside(report, pattern)}
    return offered


def _inside(folder: Path, pattern: str) -> Iterator[Path]:
    """Give the plain files that fit; a link that leads out of the folder is none."""
    root = folder.resolve()
    for path in sorted(folder.glob(pattern)):
        if path.is_file() and path.resolve().is_relative_to(root):
            yield path
