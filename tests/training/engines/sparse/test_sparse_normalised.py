"""The sparse engine reads normalised images as every other engine is given them."""

import numpy as np
import torch

from lth.data import Arrays, Channels
from lth.training.engines.sparse.examples import examples_of


def test_values_are_those_that_are_taken() -> None:
    images = torch.randint(0, 256, (9, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    channels = Channels((0.4914, 0.4822, 0.0), (0.2470, 0.2435, 0.2616))
    part = Arrays({"x": images, "y": torch.arange(9)}, {"x": 1 / 255}, {"x": channels})
    read = examples_of({"train": part}, np.float32)["train"]
    dense = np.zeros((9, 60), np.float32)
    for row in range(9):
        own = slice(read.starts[row], read.starts[row + 1])
        dense[row, read.columns[own]] = read.values[own]
    taken = part.take(torch.arange(9), torch.device("cpu"))["x"]
    assert np.array_equal(dense, taken.flatten(1).numpy())
    assert (taken < 0).any()
