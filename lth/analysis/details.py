"""What the report shows beyond the results: curves, layer densities, weight distributions, a derivation."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lth.analysis.documents import (
    BOX_SHARES,
    DETAILS,
    VERSION,
    Box,
    Curve,
    DerivationStep,
    Details,
    Distribution,
    LayerDensity,
    TableRow,
    Verdict,
)
from lth.analysis.points import Point
from lth.analysis.survivors import Networks
from lth.lineage import Reader, Trained, derivation
from lth.training import History, read_history

BINS = 60

Place = tuple[tuple[str, float | str], ...]

Groups = dict[tuple[str, Place], list[Point]]
"""The replicates of each arm at each of its places: finished trainings."""


def details_document(
    id: str,
    points: Sequence[Point],
    reader: Reader,
    *,
    prunable: Sequence[str],
    shown: Iterable[str],
    subjects: Collection[str],
    verdict: Verdict,
    tables: Mapping[str, list[TableRow]],
    learning: Sequence[str] = (),
) -> Details:
    """Return the details document of a built study.

    Args:
        id: of the study.
        points: every measurement.
        reader: reads results.
        prunable: names of the prunable parameters.
        shown: arms whose weights are shown.
        subjects: arms that the study is about.
        verdict: its place decides whose derivation is given.
        tables: of the conclusion.
        learning: curves by preference (`validation/accuracy`): of the first that was measured each replicate is kept.
    """
    histories = {
        point.job.key: history
        for point in points
        if isinstance(point.job, Trained) and (history := _history(point, reader)) is not None
    }
    groups: Groups = defaultdict(list)
    for point in points:
        if point.job.key in histories:
            groups[point.arm, tuple(point.at.items())].append(point)
    shown, networks = set(shown), Networks(reader, prunable)
    seen = {where: group for where, group in groups.items() if where[0] in shown}
    chosen = _representative(points, subjects, verdict)
    distributions, boxes = _distributions(seen, networks)
    return {
        "format": DETAILS,
        "version": VERSION,
        "id": id,
        "curves": [
            curve
            for key, group in groups.items()
            if (curve := _curve(*key, [histories[point.job.key] for point in group], learning)) is not None
        ],
        "layers": [row for where, group in seen.items() for row in _layers(*where, group, networks)],
        "distributions": distributions,
        "boxes": boxes,
        "derivation": [] if chosen is None else _derivation(chosen),
        "tables": dict(tables),
    }


def _history(point: Point, reader: Reader) -> History | None:
    """Return what was measured in a training; None if it could not be done or diverged."""
    if not reader.store.has(point.job):
        return None
    history = read_history(json.loads(reader.store.read(point.job, "metrics.json")))
    return history if history.diverged_at is None else None


def _curve(arm: str, at: Place, histories: list[History], learning: Sequence[str]) -> Curve | None:
    """Return mean curves over the replicates that went to the end."""
    if any(history.steps != histories[0].steps for history in histories):
        return None
    values = {
        name: [_mean(each) for each in zip(*(history.curves[name] for history in histories), strict=True)]
        for name in histories[0].curves
    }
    curve = Curve(arm=arm, at=dict(at), steps=histories[0].steps, values=values)
    shown = next((name for name in learning if name in values), None)
    if shown is not None and len(histories) > 1:
        curve["replicates"] = {shown: [[_short(value) for value in each.curves[shown]] for each in histories]}
    return curve


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _mean(values: tuple[float | None, ...]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _layers(arm: str, at: Place, group: list[Point], networks: Networks) -> list[LayerDensity]:
    """Return how much of each layer an arm keeps at a place, a mean over replicates."""
    kept: dict[str, list[int]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for point in group:
        for name, (count, size) in networks.counts(point).items():
            kept[name].append(count)
            sizes[name] = size
    return [
        {
            "arm": arm,
            "at": dict(at),
            "layer": name,
            "weights": size,
            "kept": sum(kept[name]) / len(group),
            "density": sum(kept[name]) / len(group) / size,
            "replicates": [count / size for count in kept[name]],
        }
        for name, size in sizes.items()
    ]


def _distributions(groups: Groups, networks: Networks) -> tuple[list[Distribution], list[Box]]:
    """Return densities of the surviving weights before and after training, on one set of edges per layer, and boxes.

    Two passes over the networks: the first finds edges and quantiles, the second counts.
    """
    widths: dict[str, float] = defaultdict(float)
    boxes: list[Box] = []
    for (arm, at), group in groups.items():
        quantiles: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        for point in group:
            for name, before, after in networks.survivors(point):
                if after.size:
                    both = np.quantile(np.abs(np.stack([before, after])), [*BOX_SHARES, 0.999], axis=1)
                    widths[name] = max(widths[name], float(both[-1, 1]))
                    quantiles[name].append(both[:-1].T.astype(np.float64))
        for name, values in quantiles.items():
            start, end = np.mean(values, axis=0).tolist()
            boxes.append(Box(arm=arm, at=dict(at), layer=name, start=start, end=end))
    edges = {name: np.linspace(-(width or 1.0), width or 1.0, BINS + 1) for name, width in widths.items()}
    return [row for where, group in groups.items() for row in _histograms(*where, group, edges, networks)], boxes


def _histograms(
    arm: str, at: Place, group: list[Point], edges: Mapping[str, NDArray[np.float64]], networks: Networks
) -> list[Distribution]:
    """Return the histograms of each layer of an arm at a place, over all replicates."""
    counts: dict[str, NDArray[np.float64]] = {}
    sizes: dict[str, int] = defaultdict(int)
    for point in group:
        for name, before, after in networks.survivors(point):
            if before.size:
                both = np.stack([np.histogram(values, edges[name])[0] for values in (before, after)])
                counts[name] = counts.get(name, 0.0) + both.astype(np.float64)
                sizes[name] += before.size
    rows: list[Distribution] = []
    for name, both in counts.items():
        start, end = ((each / (sizes[name] * np.diff(edges[name]))).tolist() for each in both)
        rows.append(Distribution(arm=arm, at=dict(at), layer=name, edges=edges[name].tolist(), start=start, end=end))
    return rows


def _representative(points: Sequence[Point], subjects: Collection[str], verdict: Verdict) -> Trained | None:
    """Return the training whose derivation is given: a subject at the verdict's place, else at the last one."""
    trained = [point for point in points if point.arm in subjects and isinstance(point.job, Trained)]
    at = verdict["at"]
    chosen = [point for point in trained if at and at.items() <= dict(point.at).items()] or trained[-1:]
    job = chosen[0].job if chosen else None
    return job if isinstance(job, Trained) else None


def _derivation(trained: Trained) -> list[DerivationStep]:
    return [{"key": key, "kind": node.kind_name, "text": node.words()} for key, node in derivation(trained).items()]
