"""Networks: one family a file, the MODELS table, and how any module of the user's is named and made."""

from lth.models.lenet import LeNet300100
from lth.models.spec import Factory, ModelSpec, describe, make_model, resolve_factory, structure_digest
from lth.models.table import MODELS

__all__ = [
    "MODELS",
    "Factory",
    "LeNet300100",
    "ModelSpec",
    "describe",
    "make_model",
    "resolve_factory",
    "structure_digest",
]
