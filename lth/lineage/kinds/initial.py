"""A model's freshly drawn weights."""

from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader
from lth.models import ModelSpec
from lth.sparsity import State


class Initial(WeightsNode):
    """A model's freshly drawn weights."""

    spec: ModelSpec
    seed: int

    @property
    def model(self) -> ModelSpec:
        return self.spec

    def derive(self, reader: Reader) -> State:
        state = reader.module(self.spec, self.seed).state_dict()
        return {name: value.detach().clone() for name, value in state.items()}

    def words(self) -> str:
        return f"{self.spec.name} drawn with seed {self.seed}"
