"""What a measure of a running training looks at, what it gives, and the facts of its entry in the table."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from lth.sparsity.types import Masks, Weights

Memory = dict[str, Tensor]
"""What a measure keeps from one measurement to the next, of one network: it goes into snapshots."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One network at one measurement.

    Attributes:
        step: optimizer steps done.
        measurements: how many the whole training makes, at most.
        weights: all that is trained, by name; not to be written to.
        kept: masks of the prunable parameters: False is pruned. In soft pruning that is what the last change of masks
            set to zero, though it trains on.
        before: the same at the measurement before; None at the first.
        gradients: of the prunable parameters at the last step, pruned weights too; only at measurements of a measure
            that reads them, and not before the first step.
        target: share of the prunable weights that is planned to be pruned now.
        memory: of this measure; written to.
        module: the network itself, whose values do not matter; only for a measure that runs it.
        run: passes a few validation examples through it, with this network's values; only for such a measure.
    """

    step: int
    measurements: int
    weights: Weights
    kept: Masks
    before: Masks | None
    gradients: Weights
    target: float
    memory: Memory
    module: nn.Module | None = None
    run: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is measured while a training runs.

    Attributes:
        compute: View -> values by name, for the curves; it may write to `View.memory`.
        words: what it measures, for people.
        every: it is taken at every so many evaluations, and at the last one.
        reads_gradients: whether it looks at `View.gradients`.
        examples: how many validation examples `View.run` passes through the network; 0 for a measure that runs nothing.
        check: raises a ValueError for a network that it cannot measure.
        finish: View at the end -> values for the end; None for none.
    """

    compute: Callable[[View], dict[str, float]]
    words: str
    every: int = 1
    reads_gradients: bool = False
    finish: Callable[[View], dict[str, float]] | None = None
    examples: int = 0
    check: Callable[[nn.Module], None] | None = None
