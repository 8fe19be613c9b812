"""A state with some tensors of another: a head drawn anew on weights that were trained."""

from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader
from lth.sparsity import State


class Grafted(WeightsNode):
    """The state of `of` with the tensors of these names as `donor` has them."""

    of: WeightsNode
    donor: WeightsNode
    names: tuple[str, ...]

    def derive(self, reader: Reader) -> State:
        """Return the state.

        Raises:
            ValueError: if either state lacks a name.
        """
        state, donor = reader.weights(self.of), reader.weights(self.donor)
        if missing := [name for name in self.names if name not in state or name not in donor]:
            raise ValueError(f"{missing[0]} is no tensor of both states that are put together")
        return state | {name: donor[name] for name in self.names}

    def words(self) -> str:
        return f"{self.of.key[:8]} with {', '.join(self.names)} of {self.donor.key[:8]}"
