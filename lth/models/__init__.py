"""Networks: one family per file, the MODELS table, and how any module of the user's is named and made."""

from lth.models.check import check_model
from lth.models.convnet import ConvNet
from lth.models.describe import describe
from lth.models.gpt2 import Gpt2
from lth.models.head import head_of
from lth.models.imports import is_importing, resolve_function
from lth.models.lenet import LeNet300100
from lth.models.seeding import seeded
from lth.models.spec import Factory, ModelSpec, make_model, resolve_factory, skeleton
from lth.models.structure import draw_digest, structure_digest
from lth.models.supermask import Supermask, masks_of
from lth.models.table import MODELS, ModelEntry
from lth.models.transformer import Transformer

__all__ = [
    "MODELS",
    "ConvNet",
    "Factory",
    "Gpt2",
    "LeNet300100",
    "ModelEntry",
    "ModelSpec",
    "Supermask",
    "Transformer",
    "check_model",
    "describe",
    "draw_digest",
    "head_of",
    "is_importing",
    "make_model",
    "masks_of",
    "resolve_factory",
    "resolve_function",
    "seeded",
    "skeleton",
    "structure_digest",
]
