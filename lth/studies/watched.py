"""Single weights followed over levels, each beside the base rates that a claim about it needs."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from lth.analysis.documents import Interval, Results, TableRow
from lth.analysis.points import Point
from lth.analysis.statistics import interval, proportion
from lth.lineage import Diverged, Reader, Trained
from lth.sparsity import Entry, Masks, entries_of
from lth.sparsity.metrics import same_tenth

KINDS = {
    "is_kept": "the weight",
    "of_tenth": "its tenth of the initial magnitudes",
    "of_matrix": "its matrix",
    "of_layer": "its layer",
    "of_all": "all prunable weights",
}
"""Columns of survival under the new mask, with their words."""


def watched_tables(reader: Reader, points: Sequence[Point], results: Results) -> dict[str, list[TableRow]]:
    """Return what became of the weights that the settings watch; nothing where they watch none.

    `watched` has a row for each weight, level and replicate, `watched_survival` one for each weight, level and kind of
    weights, in percent with intervals over replicates.
    """
    trained = [point for point in points if isinstance(point.job, Trained) and reader.store.has(point.job)]
    watch = results["config"].get("watch", [])
    if not watch or not trained:
        return {}
    assert isinstance(trained[0].job, Trained)
    entries = entries_of(reader.skeleton(trained[0].job.model), watch)
    rows: list[TableRow] = []
    for replicate in sorted({point.replicate for point in trained}):
        own = [point for point in trained if point.replicate == replicate and point.arm in ("dense", "ticket")]
        rows += rows_of(reader, sorted(own, key=lambda point: float(point.at["level"])), entries)
    return {"watched": rows, "watched_survival": _survival(rows, results["confidence"])}


@dataclass(frozen=True, slots=True)
class _Initial:
    """One watched weight's matrix at the start: where magnitudes are about its own."""

    entry: Entry
    tenth: Tensor


def rows_of(reader: Reader, points: list[Point], entries: Iterable[Entry]) -> Iterator[TableRow]:
    """Give the rows of some weights of one replicate, level by level; the new mask is that of the next level.

    Args:
        reader: of the store.
        points: the dense network, then the tickets.
        entries: the weights.
    """
    if not points or points[0].arm != "dense":
        return
    jobs = [point.job for point in points]
    assert isinstance(jobs[0], Trained)
    initial = reader.weights(jobs[0].start)
    watched = [_Initial(entry, same_tenth(initial[entry.name], entry.index)) for entry in entries]
    del initial
    masks: Masks = {}
    for place, point in enumerate(points):
        job = point.job
        assert isinstance(job, Trained)
        later = jobs[place + 1] if place + 1 < len(jobs) else None
        new = reader.masks(later.masks) if isinstance(later, Trained) else None
        try:
            start, end = reader.weights(job.start), reader.weights(job)
        except Diverged:
            return
        for each in watched:
            name = each.entry.name
            yield {
                "weight": each.entry.text,
                "tensor": name,
                "level": point.at["level"],
                "density": point.at["density"],
                "replicate": point.replicate,
                **_value(start[name], end[name], each.entry),
                "was_kept": _is_kept(masks, each.entry),
                **_survived(new, each, points[place + 1] if new is not None else None),
            }
        masks = {} if new is None else new


def _value(start: Tensor, end: Tensor, entry: Entry) -> TableRow:
    """Return the value before and after a training, and its rank by magnitude in its matrix, the largest first."""
    value = end[entry.index]
    rank = 1 + int((end.abs() > value.abs()).sum())
    return {"start": float(start[entry.index]), "end": float(value), "rank": rank, "of": end.numel()}


def _survived(new: Masks | None, watched: _Initial, later: Point | None) -> TableRow:
    """Return whether the new mask keeps the weight, and what share it keeps of others; none where there is no mask."""
    if new is None or later is None:
        return dict.fromkeys(("is_kept", "new_density", *list(KINDS)[1:]))
    mask = new.get(watched.entry.name)
    layer = layer_of(watched.entry.name)
    return {
        "is_kept": _is_kept(new, watched.entry),
        "new_density": later.at["density"],
        "of_tenth": 1.0 if mask is None else float(mask[watched.tenth].float().mean()),
        "of_matrix": 1.0 if mask is None else int(mask.sum()) / mask.numel(),
        "of_layer": _share_kept(each for name, each in new.items() if layer_of(name) == layer),
        "of_all": _share_kept(new.values()),
    }


def layer_of(name: str) -> str:
    """Return the layer of a parameter: `h.2` of `h.2.mlp.c_proj.weight`, the module's name where none is numbered."""
    numbered = re.match(r"(.*\.)?\d+(?=\.)", name)
    return numbered[0] if numbered else name.rpartition(".")[0]


def _share_kept(masks: Iterable[Tensor]) -> float:
    counts = [(int(mask.sum()), mask.numel()) for mask in masks]
    return sum(kept for kept, _ in counts) / sum(total for _, total in counts) if counts else 1.0


def _is_kept(masks: Masks, entry: Entry) -> bool:
    mask = masks.get(entry.name)
    return mask is None or bool(mask[entry.index])


def _survival(rows: list[TableRow], confidence: float) -> list[TableRow]:
    values: dict[tuple[str, float, str], list[float | None]] = {}
    for row in rows:
        if row["is_kept"] is not None:
            for column, words in KINDS.items():
                key = (row["weight"], row["new_density"], words)
                values.setdefault(key, []).append(float(row[column]))
    return [
        {"layer": weight, "density": density, "weights": words, **rate(each, confidence, words == KINDS["is_kept"])}
        for (weight, density, words), each in values.items()
    ]


def rate(values: Sequence[float | None], confidence: float, is_single: bool) -> Interval:
    """Return the interval of a rate, in percent: of single weights, there or not, by Wilson; of shares by Student."""
    found = proportion(values, confidence) if is_single else interval(values, confidence)

    def percent(value: float | None) -> float | None:
        return None if value is None else 100.0 * value

    return Interval(
        mean=percent(found["mean"]),
        low=percent(found["low"]),
        high=percent(found["high"]),
        values=[percent(value) for value in found["values"]],
    )
