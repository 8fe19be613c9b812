"""A state on the way of a training."""

from pydantic import Field

from lth.lineage.files import weights_from_bytes
from lth.lineage.kinds.trained import Trained
from lth.lineage.nodes import Job, WeightsNode
from lth.lineage.reader import Reader
from lth.sparsity import State


class Checkpoint(WeightsNode):
    """The full state of a training after `step` steps."""

    trained: Trained
    step: int = Field(gt=0)

    @property
    def made_by(self) -> tuple[Job, int] | None:
        return self.trained, self.step

    def derive(self, reader: Reader) -> State:
        return weights_from_bytes(reader.store.read(self, "weights.safetensors"))

    def words(self) -> str:
        return f"{self.trained.key[:8]} as it was at step {self.step}"
