"""Networks: one family a file, the MODELS table, and how any module of the user's is named and made."""

from lth.models.convnet import ConvNet
from lth.models.lenet import LeNet300100
from lth.models.spec import Factory, ModelSpec, describe, make_model, resolve_factory, structure_digest
from lth.models.supermask import Supermask, masks_of
from lth.models.table import MODELS
from lth.models.transformer import Transformer

__all__ = [
    "MODELS",
    "ConvNet",
    "Factory",
    "LeNet300100",
    "ModelSpec",
    "Supermask",
    "Transformer",
    "describe",
    "make_model",
    "masks_of",
    "resolve_factory",
    "structure_digest",
]
