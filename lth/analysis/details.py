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
from lth.lineage import Reader, Sparsified, Trained, derivation
from lth.sparsity import Masks
from lth.training import History, read_history

BINS = 60

SAMPLES = 200_000
"""Weights of a layer that a histogram looks at, at most."""

Place = tuple[tuple[str, float | str], ...]

Network = tuple[Point, Sequence[str]]
"""A finished training, and the names of its prunable parameters."""


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
    finished = [point for point in points if isinstance(point.job, Trained) and _history(point, reader) is not None]
    groups: dict[tuple[str, Place], list[Point]] = defaultdict(list)
    for point in finished:
        groups[point.arm, tuple(point.at.items())].append(point)
    shown = set(shown)
    networks: dict[Place, list[Network]] = {}
    for (arm, at), group in groups.items():
        if arm in shown:  # of several at one place a subject, and the first of those
            own = [(point, prunable) for point in group]
            if at not in networks or (arm in subjects and networks[at][0][0].arm not in subjects):
                networks[at] = own
    chosen = _representative(points, subjects, verdict)
    distributions, boxes = _distributions(networks, reader)
    return {
        "format": DETAILS,
        "version": VERSION,
        "id": id,
        "curves": [
            curve for key, group in groups.items() if (curve := _curve(*key, group, reader, learning)) is not None
        ],
        "layers": [row for at, group in networks.items() for row in _layers(at, group, reader)],
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


def _masks(point: Point, prunable: Sequence[str], reader: Reader) -> Masks:
    """Return a training's masks at its end, with those of a dense network written out."""
    job = point.job
    assert isinstance(job, Trained)
    masks = reader.masks(job.masks if job.training.sparsifier is None else Sparsified(trained=job))
    if masks:
        return masks
    module = reader.skeleton(job.model)
    return {
        name: module.get_parameter(name).new_ones(module.get_parameter(name).shape, device="cpu").bool()
        for name in prunable
    }


def _curve(arm: str, at: Place, group: list[Point], reader: Reader, learning: Sequence[str]) -> Curve | None:
    """Return mean curves over the replicates that went to the end."""
    histories = [history for point in group if (history := _history(point, reader)) is not None]
    if not histories or any(history.steps != histories[0].steps for history in histories):
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


def _layers(at: Place, group: list[Network], reader: Reader) -> list[LayerDensity]:
    """Return how much of each layer is kept at a place, a mean over replicates."""
    kept: dict[str, list[int]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for network in group:
        for name, mask in _masks(*network, reader).items():
            kept[name].append(int(mask.sum()))
            sizes[name] = mask.numel()
    return [
        {
            "at": dict(at),
            "layer": name,
            "weights": size,
            "kept": sum(kept[name]) / len(group),
            "density": sum(kept[name]) / len(group) / size,
            "replicates": [count / size for count in kept[name]],
        }
        for name, size in sizes.items()
    ]


def _distributions(networks: dict[Place, list[Network]], reader: Reader) -> tuple[list[Distribution], list[Box]]:
    """Return densities of the surviving weights before and after training, on one set of edges per layer, and boxes.

    Two passes over the networks, one at a time in memory: the first finds edges and quantiles, the second counts.
    """
    widths: dict[str, float] = defaultdict(float)
    boxes: list[Box] = []
    for at, group in networks.items():
        quantiles: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        for network in group:
            for name, before, after in _survivors(*network, reader):
                if after.size:
                    both = np.quantile(np.abs(np.stack([before, after])), [*BOX_SHARES, 0.999], axis=1)
                    widths[name] = max(widths[name], float(both[-1, 1]))
                    quantiles[name].append(both[:-1].T.astype(np.float64))
        for name, values in quantiles.items():
            start, end = np.mean(values, axis=0).tolist()
            boxes.append(Box(at=dict(at), layer=name, start=start, end=end))
    edges = {name: np.linspace(-(width or 1.0), width or 1.0, BINS + 1) for name, width in widths.items()}
    return [row for at, group in networks.items() for row in _histograms(at, group, edges, reader)], boxes


def _histograms(
    at: Place, group: list[Network], edges: Mapping[str, NDArray[np.float64]], reader: Reader
) -> list[Distribution]:
    """Return the histograms of each layer at a place, over all replicates."""
    counts: dict[str, NDArray[np.float64]] = {}
    sizes: dict[str, int] = defaultdict(int)
    for network in group:
        for name, before, after in _survivors(*network, reader):
            if before.size:
                both = np.stack([np.histogram(values, edges[name])[0] for values in (before, after)])
                counts[name] = counts.get(name, 0.0) + both.astype(np.float64)
                sizes[name] += before.size
    rows: list[Distribution] = []
    for name, both in counts.items():
        start, end = (each / (sizes[name] * np.diff(edges[name])) for each in both)
        rows.append(
            Distribution(at=dict(at), layer=name, edges=edges[name].tolist(), start=start.tolist(), end=end.tolist())
        )
    return rows


def _survivors(
    point: Point, prunable: Sequence[str], reader: Reader
) -> Iterable[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Give each layer's surviving weights before and after training; of very many, evenly spread ones."""
    job = point.job
    assert isinstance(job, Trained)
    start, end = reader.weights(job.start), reader.weights(job)
    for name, mask in _masks(point, prunable, reader).items():
        before, after = start[name][mask], end[name][mask]
        stride = max(1, before.numel() // SAMPLES)
        yield name, before[::stride].float().numpy(), after[::stride].float().numpy()


def _representative(points: Sequence[Point], subjects: Collection[str], verdict: Verdict) -> Trained | None:
    """Return the training whose derivation is given: a subject at the verdict's place, else at the last one."""
    trained = [point for point in points if point.arm in subjects and isinstance(point.job, Trained)]
    at = verdict["at"]
    chosen = [point for point in trained if at and at.items() <= dict(point.at).items()] or trained[-1:]
    job = chosen[0].job if chosen else None
    return job if isinstance(job, Trained) else None


def _derivation(trained: Trained) -> list[DerivationStep]:
    return [{"key": key, "kind": node.kind_name, "text": node.words()} for key, node in derivation(trained).items()]
