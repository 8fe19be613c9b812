"""The magnitudes of one state with the signs of another."""

from lth.lineage.kinds.changed import Changed
from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader
from lth.sparsity import State
from lth.sparsity.actions import with_signs


class Signed(Changed):
    """The magnitudes of `of` with the signs of `signs`: of a new draw, Zhou et al.'s `signed_reinit`."""

    signs: WeightsNode

    def change(self, state: State, reader: Reader) -> State:
        return with_signs(state, reader.weights(self.signs), self.names(reader))

    def words(self) -> str:
        return f"the magnitudes of {self.of.key[:8]} with the signs of {self.signs.key[:8]}"
