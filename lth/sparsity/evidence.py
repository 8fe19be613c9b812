"""What a criterion may look at."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lth.sparsity.types import Masks, Weights


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The network that is pruned, and examples to run it on.

    Attributes:
        module: made for the purpose; its own values do not matter, states are put in by `torch.func.functional_call`.
        initial: the whole state (parameters and buffers) that the training started from.
        final: the whole state that it ended with.
        inputs: (example, *input_shape), as many of each class as the class has, up to a number.
        labels: (example,), int64.
        frozen: masks of the training itself: what they remove stands in both states at the value that it was frozen at,
            and is run so. What is removed beyond them (by earlier rounds of scoring) is run as zero.
        loss: entry of LOSSES that the network is trained for.
    """

    module: nn.Module
    initial: Weights
    final: Weights
    inputs: Tensor
    labels: Tensor
    frozen: Masks = field(default_factory=dict)
    loss: str = "cross_entropy"


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a criterion may look at. Weights, masks and traces speak of the prunable parameters only.

    Attributes:
        initial: the weights that the training started from.
        final: the weights that it ended with.
        generator: where a criterion that draws takes its randomness.
        masks: what is still kept; a parameter without a mask is whole.
        network: the network and examples, where the caller has them.
        traces: sums that the training kept on its way, by name (`movement_pruning`), where the caller has them.
    """

    initial: Weights
    final: Weights
    generator: torch.Generator
    masks: Masks = field(default_factory=dict)
    network: Network | None = None
    traces: dict[str, Weights] = field(default_factory=dict)
