"""Data: one source a file, a table of data sets, seeded splits and batch orders."""

from lth.data.arrays import from_arrays
from lth.data.datasets import DATASETS, DataLoaderFunction, load_data
from lth.data.npz import load_npz
from lth.data.order import epoch_order, seeded_generator
from lth.data.splits import Split, default_validation, split
from lth.data.types import Data

__all__ = [
    "DATASETS",
    "Data",
    "DataLoaderFunction",
    "Split",
    "default_validation",
    "epoch_order",
    "from_arrays",
    "load_data",
    "load_npz",
    "seeded_generator",
    "split",
]
