"""What a method of pruning within training looks at, what it gives, and the facts of its entry in the table."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from lth.config.sparsifier import Sparsifier
from lth.sparsity.criteria import criterion as pick_criterion
from lth.sparsity.evidence import Evidence
from lth.sparsity.scopes import SCOPES
from lth.sparsity.select import planned_counts, select
from lth.sparsity.types import Masks, Scores, Shapes, Traces, Weights
from lth.training.sparsifiers.schedule import Application, Planner


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One network at one change of its masks. Every dict speaks of the prunable parameters, in the network's order.

    Attributes:
        settings: what is asked for.
        scope: entry of SCOPES: the one asked for, else the method's own.
        application: what is due now.
        weights: present values; not to be written to.
        masks: present masks.
        allowed: the masks that the caller gave, outside of which nothing lives but what `set` and `rigl` grow.
        start: the weights that the training started from.
        gradients: of all weights, those of pruned ones too; only where an exchange of the method grows by them.
        originals: values that weights had before noise was put on them.
        traces: sums over the steps so far, by name.
        generator: on the CPU; one per network.
    """

    settings: Sparsifier
    scope: str
    application: Application
    weights: Weights
    masks: Masks
    allowed: Masks
    start: Weights
    gradients: Weights
    originals: Weights
    traces: Traces
    generator: torch.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """New masks and values.

    Attributes:
        masks: one for each prunable parameter.
        values: of those parameters, full tensors.
        originals: the next change's `View.originals`.
    """

    masks: Masks
    values: Weights
    originals: Weights = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SparsifierMethod:
    """A way to prune within training.

    Attributes:
        change: View -> Change.
        plan: (settings, steps of the training) -> its changes in order, the last one on the target.
        words: what it does, for people.
        reads: fields of `MaskSchedule` that have an effect.
        scope: its scope where none is asked for.
        grows_by_gradient: whether its exchanges need the gradients of pruned weights.
        moves_frozen: whether pruned weights can move in an optimizer step under any setting, so must be put back.
        criterion: whether it asks the criterion which weights matter.
    """

    change: Callable[[View], Change]
    plan: Planner
    words: str
    reads: tuple[str, ...]
    scope: str = "global"
    grows_by_gradient: bool = False
    moves_frozen: bool = False
    criterion: bool = True

    def waits_for_gradients(self, application: Application) -> bool:
        """Return whether this change is made between a backward pass and the masking of its gradients."""
        return self.grows_by_gradient and application.fraction > 0


def keep_highest(view: View, weights: Weights, within: Masks) -> Masks:
    """Return masks of exactly the density that is due: the criterion's lowest go, among those that `within` keeps."""
    scores = score(view.settings.criterion, view.start, weights, within, view.generator, view.traces)
    return keep(scores, within, view.application.density, view.scope)


def zeroed(weights: Weights, before: Masks, after: Masks) -> Weights:
    """Return the weights with zeros wherever one of the two masks is True and the other False."""
    return {name: value.masked_fill(before[name] ^ after[name], 0.0) for name, value in weights.items()}


def score(
    criterion: str, start: Weights, end: Weights, masks: Masks, generator: torch.Generator, traces: Traces
) -> Scores:
    """Return the criterion's scores of these weights; the lowest are pruned first."""
    evidence = Evidence(start=start, end=end, generator=generator, masks=masks, traces=traces)
    return pick_criterion(criterion)(evidence)


def keep(scores: Scores, within: Masks, density: float, scope: str) -> Masks:
    """Return masks that keep this share of all weights, the highest scores among those that `within` keeps."""
    return select(scores, within, density=density, scope=SCOPES.pick(scope))


def check_density(shapes: Shapes, density: float, scope: str) -> None:
    """Raise a ValueError if the scope is unknown or cannot share out this density."""
    planned_counts(shapes, density=density, scope=SCOPES.pick(scope))
