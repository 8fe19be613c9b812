"""Evaluate nodes against a store: weights and masks derived, results read. Nothing is trained here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from lth.data import Parts
from lth.lineage.files import weights_from_bytes
from lth.lineage.nodes import DataSpec, Job, MasksNode, Node, WeightsNode
from lth.lineage.provenance import environment
from lth.lineage.sources import Sources
from lth.lineage.store import Store
from lth.models.spec import ModelSpec
from lth.sparsity import Masks, State, Traces, Weights, prunable
from lth.training import MOMENTS, Moments, derive_seed


@dataclass(frozen=True, slots=True)
class Measured:
    """What a job measured of one network.

    Attributes:
        end: at its end, by `part/metric`.
        at_best: of its weights at the early-stopping point.
        best_step: that point; None where there is none.
        diverged_at: the step whose loss was not finite.
        start_digest: of the weights that it started from.
        steps: where it ended; None if a training function of the user's did not count.
    """

    end: dict[str, float] = field(default_factory=dict)
    at_best: dict[str, float] = field(default_factory=dict)
    best_step: int | None = None
    diverged_at: int | None = None
    start_digest: str = ""
    steps: int | None = None


class Reader:
    """Evaluates nodes against a store.

    Args:
        store: where results lie.
        sources: the live objects behind names.
    """

    def __init__(self, store: Store, sources: Sources) -> None:
        self.store, self.sources = store, sources
        self._parts: dict[DataSpec, Parts] = {}

    def weights(self, node: WeightsNode) -> State:
        """Return the full state that this node stands for, in fresh tensors; a tied weight has one value.

        Raises:
            Diverged: if it stands on a training that diverged.
            StoreError: if a job that it needs is not finished.
        """
        return tied(node.derive(self), self.skeleton(node.model))

    def masks(self, node: MasksNode) -> Masks:
        """Return the masks that this node stands for; once computed they are kept in the store.

        Raises:
            Diverged: if the training that they are chosen by diverged.
            StoreError: if that training is not finished.
        """
        if not node.stored:
            return node.derive(self)
        if not self.store.has(node):
            masks = node.derive(self)
            self.store.commit_masks(node, masks, environment())
        return self.store.read_masks(node)

    def document(self, job: Job) -> dict[str, Any]:
        """Return the content of a finished job's metrics.json."""
        return json.loads(self.store.read(job, "metrics.json"))  # type: ignore[no-any-return]

    def measured(self, job: Job) -> list[Measured]:
        """Return what a finished job measured, one item for each network."""
        return job.measured(self.document(job))

    def traces(self, job: Job) -> Traces:
        """Return the sums that a finished training kept beside its weights; it was asked for some, or for moments."""
        return {kind: sums for kind, sums in self._kept(job).items() if "/" not in kind}

    def moments(self, job: Job) -> Moments:
        """Return the optimizer moments that a finished training kept; it was asked for them."""
        prefix = f"{MOMENTS}/"
        kept = self._kept(job)
        return {kind.removeprefix(prefix): values for kind, values in kept.items() if kind.startswith(prefix)}

    def _kept(self, job: Job) -> dict[str, Weights]:
        kept: dict[str, Weights] = {}
        for path, value in weights_from_bytes(self.store.read(job, "traces.safetensors")).items():
            kind, _, name = path.rpartition("/")
            kept.setdefault(kind, {})[name] = value
        return kept

    def module(self, model: ModelSpec, seed: int = 0) -> torch.nn.Module:
        """Return a fresh module of this model."""
        return self.sources.module(model, seed)

    def skeleton(self, model: ModelSpec) -> torch.nn.Module:
        """Return a module whose values do not matter, for names, shapes and ties; not to be changed."""
        return self.sources.skeleton(model)

    def prunable(self, model: ModelSpec, only: Sequence[str] = (), never: Sequence[str] = ()) -> list[str]:
        """Return the names of a model's prunable parameters."""
        return prunable(self.skeleton(model), only, never)

    def parts(self, data: DataSpec) -> Parts:
        """Return the examples of this data, validation held out; kept for the next time."""
        if data not in self._parts:
            self._parts[data] = self.sources.parts(data)
        return self._parts[data]


def draws(node: Node) -> torch.Generator:
    """Return the randomness of a derived node, which follows from its key."""
    return torch.Generator().manual_seed(derive_seed(node.key))


def tied(state: State, module: torch.nn.Module) -> State:
    """Give further names of a tied weight the value of its first name, the one that is masked; return the state."""
    for name, owner in first_names(module).items():
        if owner != name:
            state[name] = state[owner].clone()
    return state


def first_names(module: torch.nn.Module) -> dict[str, str]:
    """Return the first name of each parameter by each of its names: several where a weight is tied."""
    first: dict[int, str] = {}
    named = module.named_parameters(remove_duplicate=False)
    return {name: first.setdefault(id(value), name) for name, value in named}
