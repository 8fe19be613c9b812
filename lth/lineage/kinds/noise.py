"""Noise as strong as a state's weights."""

from lth.lineage.kinds.changed import Changed
from lth.lineage.reader import Reader, draws
from lth.sparsity import State
from lth.sparsity.actions import noise


class Noise(Changed):
    """Noise of mean 0 and the standard deviation of each tensor of `of`; `distribution` is normal or uniform."""

    distribution: str = "normal"

    def change(self, state: State, reader: Reader) -> State:
        return noise(state, self.names(reader), draws(self), self.distribution)

    def words(self) -> str:
        return f"{self.distribution} noise as strong as {self.of.key[:8]}"
