"""Data: one source per file, a table of data sets, tokens/ for language models, seeded splits and batch orders."""

from lth.data.arrays import Arrays, Channels
from lth.data.augment import AUGMENTATIONS, Augmentation, augmentation_draws, augmented, check_augment
from lth.data.datasets import DATASETS, DataSet, load_data
from lth.data.npz import load_npz
from lth.data.order import epoch_order, seeded_generator, training_order
from lth.data.own import from_arrays, no_data
from lth.data.rows import Rows
from lth.data.sentences import Sentences
from lth.data.shots import draw_shots, num_classes
from lth.data.splits import OWN, default_validation, split
from lth.data.text import load_text
from lth.data.tokens import Tokenizer, load_tokens, prepare_tokens, tokenizer_of
from lth.data.types import Data, Examples, Parts, Subset, batches_of
from lth.data.windows import Windows
from lth.data.wordpieces import needs_tokens, tokenised

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "OWN",
    "Arrays",
    "Augmentation",
    "Channels",
    "Data",
    "DataSet",
    "Examples",
    "Parts",
    "Rows",
    "Sentences",
    "Subset",
    "Tokenizer",
    "Windows",
    "augmentation_draws",
    "augmented",
    "batches_of",
    "check_augment",
    "default_validation",
    "draw_shots",
    "epoch_order",
    "from_arrays",
    "load_data",
    "load_npz",
    "load_text",
    "load_tokens",
    "needs_tokens",
    "no_data",
    "num_classes",
    "prepare_tokens",
    "seeded_generator",
    "split",
    "tokenised",
    "tokenizer_of",
    "training_order",
]
