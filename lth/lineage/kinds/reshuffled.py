"""Each tensor's kept values in a random order among themselves."""

from lth.lineage.nodes import MasksNode, WeightsNode
from lth.lineage.reader import Reader, draws
from lth.sparsity import State
from lth.sparsity.actions import reshuffled


class Reshuffled(WeightsNode):
    """Each tensor's kept values in a random order among themselves (Zhou et al.'s `random_reshuffle`)."""

    of: WeightsNode
    masks: MasksNode

    def derive(self, reader: Reader) -> State:
        state = reader.weights(self.of)
        return state | reshuffled(state, reader.masks(self.masks), draws(self))

    def words(self) -> str:
        return f"the values of {self.of.key[:8]} that {self.masks.key[:8]} keeps, in a random order among themselves"
