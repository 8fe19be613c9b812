"""Examples as images: they stay as the data set has them until a batch takes them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lth.data.images import as_images
from lth.data.types import Examples as Part
from lth.data.types import batches_of
from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.examples import LastRead

SLICE = 2048
"""Examples that are looked through at a time."""


@dataclass(frozen=True, slots=True)
class ImageExamples:
    """Some examples.

    Attributes:
        part: where they are taken from.
        labels: (example,) int64.
        shape: of one of them, without the example axis.
        dtype: of the values that are taken.
    """

    part: Part
    labels: Array
    shape: tuple[int, ...]
    dtype: Any

    def take(self, chosen: Array, *, makes_images: bool) -> Array:
        """Return some of them, (example, channel * row * column)."""
        images = self.part.take(torch.from_numpy(chosen), torch.device("cpu"))["x"]
        images = as_images(images) if makes_images else images
        taken: Array = images.flatten(1).contiguous().numpy().astype(self.dtype, copy=False)
        return taken


def _read(part: Part, dtype: Any) -> ImageExamples:
    labels: list[Array] = [np.zeros(0, np.int64)]
    shape: tuple[int, ...] = ()
    for batch in batches_of(part, SLICE):
        labels.append(batch["y"].numpy().astype(np.int64))
        shape = tuple(batch["x"].shape[1:])
    return ImageExamples(part, np.concatenate(labels), shape, dtype)


image_examples_of = LastRead(_read)
