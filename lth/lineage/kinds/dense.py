"""Masks that prune nothing."""

from typing import ClassVar

import torch

from lth.lineage.nodes import MasksNode
from lth.lineage.reader import Reader
from lth.models.spec import ModelSpec
from lth.sparsity import Masks


class Dense(MasksNode):
    """Masks that keep everything: none at all."""

    stored: ClassVar[bool] = False

    @property
    def planned_density(self) -> float | None:
        return 1.0

    def derive(self, reader: Reader) -> Masks:
        return {}

    def words(self) -> str:
        return "every weight kept"


class Prunable(MasksNode):
    """Masks that keep every prunable weight: what a training that prunes on its way starts from."""

    stored: ClassVar[bool] = False

    model: ModelSpec
    prune_only: tuple[str, ...] = ()
    never_prune: tuple[str, ...] = ()

    @property
    def planned_density(self) -> float | None:
        return 1.0

    def derive(self, reader: Reader) -> Masks:
        module = reader.skeleton(self.model)
        names = reader.prunable(self.model, self.prune_only, self.never_prune)
        return {name: torch.ones(module.get_parameter(name).shape, dtype=torch.bool) for name in names}

    def words(self) -> str:
        return "every prunable weight kept, to be pruned within the training"
