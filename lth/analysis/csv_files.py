"""What a study measured as CSV: curves of every training, what each tensor keeps, what became of watched weights."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lth.analysis.documents import TableRow
from lth.analysis.points import Point
from lth.lineage import Dense, Reader, Trained
from lth.training import read_history


def csv_files(
    points: Sequence[Point], tables: Mapping[str, list[TableRow]], reader: Reader
) -> Iterator[tuple[str, str]]:
    """Give name and content of each CSV file that has rows: `curves.csv`, `survival.csv`, `watched.csv`."""
    finished = [point for point in points if isinstance(point.job, Trained) and reader.store.has(point.job)]
    axes = list(dict.fromkeys(axis for point in finished for axis in point.at))
    for name, rows, first in (
        ("curves.csv", curve_rows(finished, reader), ["arm", "replicate", *axes, "step"]),
        ("survival.csv", survival_rows(finished, reader), ["arm", "replicate", *axes]),
        ("watched.csv", tables.get("watched", []), []),
        ("super_weights.csv", tables.get("super_weights", []), []),
    ):
        listed = list(rows)
        if listed:
            yield name, as_csv(listed, first)


def as_csv(rows: Sequence[Mapping[str, Any]], first: Iterable[str] = ()) -> str:
    """Return rows as CSV with a heading; the columns `first` come first, what a row has not is empty."""
    columns = list(dict.fromkeys([*first, *(name for row in rows for name in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def curve_rows(points: Iterable[Point], reader: Reader) -> Iterator[dict[str, Any]]:
    """Give a row for each evaluation of each training, with every curve; those of one that diverged too."""
    for point in points:
        history = read_history(json.loads(reader.store.read(point.job, "metrics.json")))
        for index, step in enumerate(history.steps):
            values = {name: curve[index] for name, curve in history.curves.items()}
            yield {**_place(point), "step": step, **values}


def survival_rows(points: Iterable[Point], reader: Reader) -> Iterator[dict[str, Any]]:
    """Give a row for each tensor of the masks that a training went by."""
    for point in points:
        job = point.job
        assert isinstance(job, Trained)
        if isinstance(job.masks, Dense):
            continue
        for name, mask in reader.masks(job.masks).items():
            kept, total = int(mask.sum()), mask.numel()
            yield {**_place(point), "tensor": name, "weights": total, "kept": kept, "survival": kept / total}


def _place(point: Point) -> dict[str, Any]:
    return {"arm": point.arm, "replicate": point.replicate, **point.at}
