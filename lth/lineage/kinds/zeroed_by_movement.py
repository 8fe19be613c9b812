"""Zero where training moved a weight one way, its initial value where it moved the other."""

from lth.lineage.kinds.trained import Trained
from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader
from lth.sparsity import State
from lth.sparsity.actions import zeroed_by_movement


class ZeroedByMovement(WeightsNode):
    """Zero where a training moved the weight toward zero, else the initial value (Zhou et al.'s Variant 1).

    Weights that the training's own masks pruned have not moved: they stay where they were put.

    Attributes:
        trained: the training.
        initial: what its weights are compared with.
        otherwise: the values of weights that moved the other way.
        toward: False makes the opposite control: zero where the weight moved away from zero.
    """

    trained: Trained
    initial: WeightsNode
    otherwise: WeightsNode
    toward: bool = True
    prune_only: tuple[str, ...] = ()
    never_prune: tuple[str, ...] = ()

    def derive(self, reader: Reader) -> State:
        otherwise = reader.weights(self.otherwise)
        return otherwise | zeroed_by_movement(
            otherwise,
            initial=reader.weights(self.initial),
            end=reader.weights(self.trained),
            names=reader.prunable(self.model, self.prune_only, self.never_prune),
            toward=self.toward,
            masks=reader.masks(self.trained.masks),
            start=reader.weights(self.trained.start),
        )

    def words(self) -> str:
        way = "toward" if self.toward else "away from"
        return f"zero where {self.trained.key[:8]} moved {way} zero, {self.otherwise.key[:8]} elsewhere"
