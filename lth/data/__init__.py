"""Data: one source per file, a table of data sets, seeded splits and batch orders."""

from lth.data.arrays import Arrays
from lth.data.datasets import DATASETS, ON_DISK, DataSet, load_data
from lth.data.npz import load_npz
from lth.data.order import epoch_order, seeded_generator
from lth.data.own import from_arrays, no_data
from lth.data.splits import OWN, default_validation, split
from lth.data.text import load_text
from lth.data.types import Data, Examples, Parts, Subset, batches_of
from lth.data.windows import Windows

__all__ = [
    "DATASETS",
    "ON_DISK",
    "OWN",
    "Arrays",
    "Data",
    "DataSet",
    "Examples",
    "Parts",
    "Subset",
    "Windows",
    "batches_of",
    "default_validation",
    "epoch_order",
    "from_arrays",
    "load_data",
    "load_npz",
    "load_text",
    "no_data",
    "seeded_generator",
    "split",
]
