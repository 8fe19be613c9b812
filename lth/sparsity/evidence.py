"""What a criterion may look at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lth.sparsity.types import Masks, State, Traces, Weights
from lth.tasks import Batch, Task


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The network that is pruned, and examples to run it on.

    Attributes:
        module: made for the purpose; its own values do not matter, states are put in by `torch.func.functional_call`.
        start: the full state (parameters and buffers) that the training started from.
        end: the full state that it ended with.
        batch: the examples (`some_examples`).
        task: what the network is trained for.
        frozen: masks of the training itself: what they remove stands in both states at the value that it was frozen at,
            and is run so. What is removed beyond them (by earlier rounds of scoring) is run as zero.
    """

    module: nn.Module
    start: State
    end: State
    batch: Batch
    task: Task
    frozen: Masks = field(default_factory=dict)

    def outputs(self, state: State, batch: Batch) -> Tensor:
        """Return what the network makes of a batch with this state in the place of its own."""

        def call(*inputs: Any, **keywords: Any) -> Any:
            return functional_call(self.module, state, inputs, keywords)

        return self.task.forward(call, batch)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a criterion may look at. Weights, masks and traces speak of the prunable parameters only.

    Attributes:
        start: the weights that the training started from.
        end: the weights that it ended with.
        generator: where a criterion that draws takes its randomness.
        masks: what is still kept; a parameter without a mask is dense.
        network: gives the network and examples, where the caller has them. It is called when a criterion first asks
            for the network (`network_of`), and never again.
        traces: sums that the training kept on its way, by name (`movement_pruning`), where the caller has them.
    """

    start: Weights
    end: Weights
    generator: torch.Generator
    masks: Masks = field(default_factory=dict)
    network: Callable[[], Network] | None = None
    traces: Traces = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.network is not None:
            object.__setattr__(self, "network", cache(self.network))


def network_of(evidence: Evidence, criterion: str) -> Network:
    """Return the network of the evidence.

    Raises:
        ValueError: if the evidence has none; `criterion` is named in the message.
    """
    if evidence.network is None:
        raise ValueError(
            f"criterion {criterion!r} runs the network, but the evidence has no network. Give Evidence a `network` "
            "(module, states, examples), or choose a criterion of weights alone, such as 'large_final'"
        )
    return evidence.network()
