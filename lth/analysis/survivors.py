"""The weights that masks keep, before and after training: each network is read once, as long as it fits in memory."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth.analysis.points import Point
from lth.lineage import Reader, Sparsified, Trained
from lth.sparsity import Masks

SAMPLES = 200_000
"""Weights of a layer that are looked at, at most."""

ROOM = 256 * 2**20
"""Bytes of weights that are kept for a second look; what does not fit is read again."""


class Survivors(NamedTuple):
    """Weights of one layer that are kept: their values before and after training, of very many evenly spread ones."""

    layer: str
    before: NDArray[np.float32]
    after: NDArray[np.float32]


class Networks:
    """Reads networks of a study.

    Args:
        reader: reads results.
        prunable: names of the prunable parameters.
        room: bytes that may be kept.
    """

    def __init__(self, reader: Reader, prunable: Sequence[str], room: int = ROOM) -> None:
        self._reader, self._prunable, self._room = reader, prunable, room
        self._kept: dict[str, list[Survivors]] = {}
        self._counts: dict[str, dict[str, tuple[int, int]]] = {}

    def survivors(self, point: Point) -> list[Survivors]:
        """Return the surviving weights of each layer of a finished training."""
        job = point.job
        assert isinstance(job, Trained)
        if job.key in self._kept:
            return self._kept[job.key]
        start, end, masks = self._reader.weights(job.start), self._reader.weights(job), self._masks(job)
        self._counts[job.key] = _counts(masks)
        found = []
        for name, mask in masks.items():
            before, after = start[name][mask], end[name][mask]
            stride = max(1, before.numel() // SAMPLES)
            both = (np.ascontiguousarray(each[::stride].float().numpy()) for each in (before, after))
            found.append(Survivors(name, *both))
        size = sum(each.before.nbytes + each.after.nbytes for each in found)
        if size <= self._room:
            self._room -= size
            self._kept[job.key] = found
        return found

    def counts(self, point: Point) -> dict[str, tuple[int, int]]:
        """Return how many weights of each layer are kept, and how many it has."""
        job = point.job
        assert isinstance(job, Trained)
        if job.key not in self._counts:
            self._counts[job.key] = _counts(self._masks(job))
        return self._counts[job.key]

    def _masks(self, job: Trained) -> Masks:
        """Return a training's masks at its end, with those of a dense network written out."""
        masks = self._reader.masks(job.masks if job.training.sparsifier is None else Sparsified(trained=job))
        if masks:
            return masks
        module = self._reader.skeleton(job.model)
        return {
            name: module.get_parameter(name).new_ones(module.get_parameter(name).shape, device="cpu").bool()
            for name in self._prunable
        }


def _counts(masks: Masks) -> dict[str, tuple[int, int]]:
    return {name: (int(mask.sum()), mask.numel()) for name, mask in masks.items()}
