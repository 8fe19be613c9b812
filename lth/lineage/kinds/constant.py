"""One magnitude a tensor."""

from lth.lineage.kinds.changed import Changed
from lth.lineage.reader import Reader, draws
from lth.sparsity import State
from lth.sparsity.actions import constant


class Constant(Changed):
    """Plus or minus the standard deviation of the tensor's values, with random signs (`rand_signed_constant`)."""

    def change(self, state: State, reader: Reader) -> State:
        return constant(state, self.names(reader), draws(self))

    def words(self) -> str:
        return f"plus or minus the standard deviation of each tensor of {self.of.key[:8]}"
