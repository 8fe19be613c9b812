"""What is common to states whose prunable weights are those of another state, changed."""

from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader
from lth.sparsity import State


class Changed(WeightsNode):
    """A state whose prunable weights are those of `of`, changed; all else is as in `of`.

    A kind says how in `change`. `draw` makes several of one kind.
    """

    of: WeightsNode
    prune_only: tuple[str, ...] = ()
    never_prune: tuple[str, ...] = ()
    draw: int = 0

    def names(self, reader: Reader) -> list[str]:
        """Return the names of the prunable parameters."""
        return reader.prunable(self.model, self.prune_only, self.never_prune)

    def change(self, state: State, reader: Reader) -> State:
        """Return the new values of the prunable parameters."""
        raise NotImplementedError

    def derive(self, reader: Reader) -> State:
        state = reader.weights(self.of)
        return state | self.change(state, reader)

    def words(self) -> str:
        return f"{self.kind_name.lower()} of {self.of.key[:8]}"
