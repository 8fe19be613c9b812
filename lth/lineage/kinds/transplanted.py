"""A state with a few of its weights taken from another."""

from lth.lineage.kinds.ablated import Place, at_places
from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader
from lth.sparsity import State


class Transplanted(WeightsNode):
    """The state of `of` with the values of `source` at some places."""

    of: WeightsNode
    source: WeightsNode
    places: tuple[Place, ...]

    def derive(self, reader: Reader) -> State:
        """Return the state.

        Raises:
            ValueError: if a place is not in the network.
        """
        state, source = reader.weights(self.of), reader.weights(self.source)
        for name, value, where in at_places(state, reader.skeleton(self.model), self.places):
            value[where] = source[name][where]
        return state

    def words(self) -> str:
        count = len(self.places)
        return f"{self.of.key[:8]} with {count} place{'s' * (count != 1)} of {self.source.key[:8]}"
