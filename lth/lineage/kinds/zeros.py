"""Zeros in the shape of a network."""

import torch

from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader
from lth.sparsity import State


class Zeros(WeightsNode):
    """Zeros in the shape of another state."""

    like: WeightsNode

    def derive(self, reader: Reader) -> State:
        state = reader.skeleton(self.model).state_dict()
        return {name: torch.zeros(value.shape, dtype=value.dtype) for name, value in state.items()}

    def words(self) -> str:
        return "zeros"
