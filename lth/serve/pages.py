"""Pages as text: those of the store from templates, those of studies by `lth.report`, kept while their files stay."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from lth.analysis.labels import LABELS
from lth.analysis.notes import DERIVATION
from lth.analysis.numbers import size_words
from lth.report.bundle import bundle
from lth.report.compare import comparison_figures
from lth.report.environment import environment
from lth.report.names import check_comparable, study_names
from lth.report.page import figures, render
from lth.report.study import read_study
from lth.report.theme import DARK, LIGHT
from lth.serve.catalogue import Entry, Signature, signature_of
from lth.serve.files import study_files

HERE = Path(__file__).parent
KEPT = 16
"""Pages of studies that are kept, of about 1.5 MB."""


@cache
def _templates() -> Any:
    made = environment(HERE / "templates")
    made.filters["size"] = size_words
    return made


def filled(template: str, **context: Any) -> str:
    """Return a template of this room as text."""
    page: str = _templates().get_template(template).render(**context)
    return page


@cache
def asset(name: str) -> str:
    """Return a style sheet or script of these pages."""
    if name == "style.css":
        return filled("style.css.jinja", schemes=[(asdict(palette), ()) for palette in (LIGHT, DARK)])
    return (HERE / "templates" / name).read_text(encoding="utf-8")


class ReportPages:
    """Pages of one study or several compared, as `lth report` writes them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], str] = OrderedDict()
        self._lock = Lock()  # figures are drawn by one thread at a time

    def page(self, entries: Sequence[Entry], above: str) -> str:
        """Return the page of some finished studies.

        Args:
            entries: at least one.
            above: HTML that stands before it.
        Raises:
            ValueError: if files are damaged, or the studies cannot be compared.
        """
        key = (above, *((entry.folder, *_signatures(entry)) for entry in entries))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            studies = [read_study(entry.folder) for entry in entries]
            check_comparable(studies)
            names = study_names(studies)
            drawn = figures(studies[0]) if len(studies) == 1 else comparison_figures(studies, names)
            files, beside = _taken_from(entries)
            page = render(studies, drawn, bundle().result(), names, above=above, files=files, beside=beside)
            self._kept[key] = page
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return page


def _taken_from(entries: Sequence[Entry]) -> tuple[list[str], str | None]:
    """Return which files of a study's report are offered, and where; of a comparison, which has no folder, none."""
    if len(entries) != 1:
        return [], None
    offered = study_files(entries[0].folder)
    files = [name for name in offered if "/" not in name and name not in ("study.json", DERIVATION, "report.html")]
    return files, f"/study/{entries[0].id}/files/" if "figures/" in "".join(offered) else None


def _signatures(entry: Entry) -> list[Signature]:
    return [signature_of(entry.folder / name) for name in ("results.json", "details.json", "reproduction.json", LABELS)]
