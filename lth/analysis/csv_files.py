"""What a study measured as CSV: curves of every training, what each tensor keeps, what became of watched weights."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lth.analysis.csv_text import as_csv
from lth.analysis.documents import TableRow
from lth.analysis.points import Point
from lth.analysis.throughput import speed_of
from lth.lineage import Dense, Reader, Trained
from lth.lineage.times import times_of
from lth.training import read_history

HISTORY = {"step": "iter", "train/loss": "train/loss", "validation/loss": "val/loss", "lr": "lr", "mfu": "mfu"}
"""Columns of `history.csv` by those of `curves.csv`: nanoGPT's names, of what it logs."""


def csv_files(
    points: Sequence[Point], tables: Mapping[str, list[TableRow]], reader: Reader
) -> Iterator[tuple[str, str]]:
    """Give name and content of each CSV file that has rows: `curves.csv`, `survival.csv`, `statistics.csv`, ...

    Where language models are trained and nothing else (one arm, no axis), each replicate has its `history.csv` too.
    """
    finished = [point for point in points if isinstance(point.job, Trained) and reader.store.has(point.job)]
    axes = list(dict.fromkeys(axis for point in finished for axis in point.at))
    for name, rows, first in (
        ("curves.csv", curve_rows(finished, reader), ["arm", "replicate", *axes, "step"]),
        ("survival.csv", survival_rows(finished, reader), ["arm", "replicate", *axes]),
        ("statistics.csv", tables.get("statistics", []), []),
        ("watched.csv", tables.get("watched", []), []),
        ("super_weights.csv", tables.get("super_weights", []), []),
    ):
        listed = list(rows)
        if listed:
            yield name, as_csv(listed, first)
    if (
        not axes
        and len({point.arm for point in finished}) == 1
        and all(_is_of_tokens(point, reader) for point in points)
    ):
        for point in finished:
            number = f"-{point.replicate}" if len(finished) > 1 else ""
            yield f"history{number}.csv", as_csv(list(history_rows(point, reader)), HISTORY.values())


def curve_rows(points: Iterable[Point], reader: Reader) -> Iterator[dict[str, Any]]:
    """Give a row for each evaluation of each training, those of one that diverged too.

    It has every curve, the learning rate of the step that comes next, and how fast the steps before were.
    """
    for point in points:
        job = point.job
        assert isinstance(job, Trained)
        history = read_history(json.loads(reader.store.read(job, "metrics.json")))
        times, speed = times_of(job, reader.store), speed_of(job, reader)
        for index, step in enumerate(history.steps):
            values: dict[str, Any] = {name: curve[index] for name, curve in history.curves.items()}
            values |= speed(times[step]) if step in times else {}
            yield {**_place(point), "step": step, **values, "lr": job.training.lr_at(step)}


def history_rows(point: Point, reader: Reader) -> Iterator[dict[str, Any]]:
    """Give a row for each evaluation of a training of tokens, with nanoGPT's columns and units: `mfu` in percent."""
    for row in curve_rows([point], reader):
        row |= {"mfu": 100 * row["mfu"]} if "mfu" in row else {}
        yield {name: row[own] for own, name in HISTORY.items() if own in row}


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


def _is_of_tokens(point: Point, reader: Reader) -> bool:
    job = point.job
    return isinstance(job, Trained) and reader.sources.data[job.data.digest].tokens_per_example is not None


def _place(point: Point) -> dict[str, Any]:
    return {"arm": point.arm, "replicate": point.replicate, **point.at}
