"""What a method of pruning within training looks at, and what it gives."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from lth.config.sparsifier import Sparsifier
from lth.sparsity.criteria import CRITERIA
from lth.sparsity.evidence import Evidence
from lth.sparsity.scope import SCOPES
from lth.sparsity.select import select
from lth.sparsity.types import Masks, Weights
from lth.training.sparsifiers.schedule import Application


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One member at one change of its masks. Every dict speaks of the prunable parameters, in the network's order.

    Attributes:
        settings: what is asked for.
        application: what is due now.
        weights: present values; not to be written to.
        masks: present masks.
        allowed: the masks that the caller gave, outside of which nothing lives but what `set` and `rigl` grow.
        initial: the weights that the training started from.
        gradients: of all weights, those of pruned ones too; only where the method asked for them.
        originals: values that weights had before noise was put on them.
        traces: sums over the steps so far, by name.
        generator: on the CPU; one per member.
    """

    settings: Sparsifier
    application: Application
    weights: Weights
    masks: Masks
    allowed: Masks
    initial: Weights
    gradients: Weights
    originals: Weights
    traces: dict[str, Weights]
    generator: torch.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """New masks and values.

    Attributes:
        masks: one for each prunable parameter.
        values: of those parameters, whole tensors.
        originals: what the next change finds as `View.originals`.
    """

    masks: Masks
    values: Weights
    originals: Weights = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """A way to prune within training.

    Attributes:
        change: View -> Change.
        grows_by_gradient: whether `regrow` needs the gradients of pruned weights.
    """

    change: Callable[[View], Change]
    grows_by_gradient: bool = False


def keep_highest(view: View, weights: Weights, within: Masks) -> Masks:
    """Masks of exactly the density that is due: the criterion's lowest go, among those that `within` keeps."""
    evidence = Evidence(initial=view.initial, final=weights, generator=view.generator, masks=within, traces=view.traces)
    return select(
        CRITERIA[view.settings.criterion](evidence),
        within,
        sparsity=view.application.sparsity,
        scope=SCOPES[view.settings.scope_name],
    )


def zeroed(weights: Weights, before: Masks, after: Masks) -> Weights:
    """The weights with zeros wherever one of the two masks is True and the other False."""
    return {name: value.masked_fill(before[name] ^ after[name], 0.0) for name, value in weights.items()}
