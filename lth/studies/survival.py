"""Which weights survive: the largest ones beside all, level by level."""

from collections.abc import Sequence
from typing import Any

from lth.analysis.documents import TableRow
from lth.analysis.points import Point
from lth.analysis.statistics import interval
from lth.lineage import Reader, Trained
from lth.sparsity import Masks, Weights
from lth.sparsity.metrics import largest, survival

SHARE = 0.1
"""Of each layer's initial weights, which count as its largest."""

LARGEST, ALL = "largest tenth", "all weights"


def survival_table(reader: Reader, points: Sequence[Point], confidence: float) -> list[TableRow]:
    """Return the survival of each layer's largest initial weights, beside its base rate: that of all its weights.

    Values are percent, with intervals of this confidence over replicates; one row for each level, layer and kind of
    weights.
    """
    dense: dict[int, Trained] = {}
    kept: dict[tuple[Any, str, str], list[float | None]] = {}
    densities: dict[Any, Any] = {}
    places: dict[int, Masks] = {}
    first: Weights = {}  # replicates of pre-trained weights share it
    for point in sorted(points, key=lambda each: (float(each.at["level"]), each.replicate)):
        job = point.job
        if not isinstance(job, Trained) or not reader.store.has(job):
            continue
        if point.arm == "dense":
            dense[point.replicate] = job
        elif point.arm == "ticket" and point.replicate in dense:
            masks = reader.masks(job.masks)
            if point.replicate not in places:
                whole = reader.weights(dense[point.replicate].start)
                start = {name: whole[name] for name in masks}
                is_shared = start.keys() == first.keys() and all(start[name].equal(first[name]) for name in start)
                places[point.replicate] = next(iter(places.values())) if is_shared else largest(start, SHARE)
                first = first or start
            densities[point.at["level"]] = point.at["density"]
            for name, each in survival({}, masks, places[point.replicate]).items():
                for kind, rate in ((LARGEST, each.rate), (ALL, each.base_rate)):
                    percent = None if rate is None else 100 * rate
                    kept.setdefault((point.at["level"], name, kind), []).append(percent)
    return [
        {
            "level": level,
            "density": densities[level],
            "layer": name.removesuffix(".weight"),
            "weights": kind,
            **interval(values, confidence),
        }
        for (level, name, kind), values in kept.items()
    ]
