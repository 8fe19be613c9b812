"""A state on the line between two others."""

from pydantic import Field

from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader
from lth.sparsity import State


class Interpolated(WeightsNode):
    """(1 - share) of `first` and `share` of `second`, entry by entry; whole numbers (counters) are of `first`."""

    first: WeightsNode
    second: WeightsNode
    share: float = Field(ge=0, le=1)

    def derive(self, reader: Reader) -> State:
        first, second = reader.weights(self.first), reader.weights(self.second)
        if self.share in (0, 1):
            return second if self.share else first
        return {
            name: value.lerp(second[name], self.share) if value.is_floating_point() else value
            for name, value in first.items()
        }

    def words(self) -> str:
        return f"{100 * self.share:.3g} % of the way from {self.first.key[:8]} to {self.second.key[:8]}"
