"""A start: some values where masks keep, others elsewhere."""

from lth.lineage.nodes import MasksNode, WeightsNode
from lth.lineage.reader import Reader
from lth.sparsity import State, combine


class Combined(WeightsNode):
    """The state of `kept` where the masks keep, that of `pruned` where they do not; what has no mask is of `kept`."""

    masks: MasksNode
    kept: WeightsNode
    pruned: WeightsNode

    def derive(self, reader: Reader) -> State:
        masks = reader.masks(self.masks)
        return combine(masks, reader.weights(self.kept), reader.weights(self.pruned))

    def words(self) -> str:
        return f"{self.kept.key[:8]} where {self.masks.key[:8]} keeps, {self.pruned.key[:8]} elsewhere"
