"""Each tensor's values in a random order."""

from lth.lineage.kinds.changed import Changed
from lth.lineage.reader import Reader, draws
from lth.sparsity import State
from lth.sparsity.actions import permuted


class Permuted(Changed):
    """Each tensor's values in a random order, those of pruned entries among them (Zhou et al.'s `random_reinit`)."""

    def change(self, state: State, reader: Reader) -> State:
        return permuted(state, self.names(reader), draws(self))

    def words(self) -> str:
        return f"the values of {self.of.key[:8]} in a random order within each tensor"
