"""Results as a small table of text: a row for each place of the study's axis, a column for each arm."""

from lth.analysis.documents import Results
from lth.analysis.numbers import show
from lth.analysis.reading import BEST_STEP, arms_of, cells, metric_of


def text_table(results: Results, *, best_step: bool = True) -> list[list[str]]:
    """Return the heading and rows of a table: means of the primary metric, and the subject's best step.

    Args:
        results: the document.
        best_step: whether to add the step of early stopping, of the subject and the baseline.
    """
    axis, metric = results["axis"], metric_of(results, "primary")
    arms = [arm["name"] for arm in arms_of(results)]
    lead = {arm["name"] for arm in arms_of(results, "baseline", "subject")}
    rows_by_place: dict[float | str, dict[str, str]] = {}
    means: dict[float | str, dict[str, list[float]]] = {}
    for cell in cells(results, "primary"):
        place = cell["at"].get(axis, "")
        density = cell["at"].get("density")
        row = rows_by_place.setdefault(place, {})
        row["place"] = f"{place:g}" if isinstance(place, int | float) else str(place)
        if isinstance(density, int | float):
            row["kept"] = f"{100 * density:.3g} %"
        if cell["interval"]["mean"] is not None:
            means.setdefault(place, {}).setdefault(cell["arm"], []).append(cell["interval"]["mean"])
    steps: dict[float | str, str] = {}
    for cell in cells(results, BEST_STEP) if best_step else []:
        if cell["arm"] in lead and cell["interval"]["mean"] is not None:
            steps.setdefault(cell["at"].get(axis, ""), f"{cell['interval']['mean']:,.0f}")
    has_kept, has_place = any("kept" in row for row in rows_by_place.values()), axis and len(rows_by_place) > 1
    head = [*([axis.replace("_", " ")] if has_place else []), *(["kept"] if has_kept else [])]
    head += arms + (["best step"] if steps else [])
    rows = [head]
    for place, row in rows_by_place.items():
        values = [means.get(place, {}).get(arm, []) for arm in arms]
        shown = [show(sum(each) / len(each), metric) if each else "" for each in values]
        line = [*([row["place"]] if has_place else []), *([row.get("kept", "")] if has_kept else []), *shown]
        rows.append(line + ([steps.get(place, "")] if steps else []))
    return rows


def aligned(rows: list[list[str]]) -> list[str]:
    """Return the rows of a table as lines, columns to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
