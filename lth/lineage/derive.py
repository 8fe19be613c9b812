"""What a node is worth: starts and masks computed from finished trainings. No training happens here."""

from dataclasses import dataclass, field

import torch

from lth.data import Data, Split, split
from lth.lineage.nodes import (
    Checkpoint,
    Combined,
    DataSpec,
    Dense,
    Initial,
    MasksNode,
    Node,
    Pruned,
    Trained,
    WeightsNode,
    model_of,
)
from lth.lineage.provenance import environment
from lth.lineage.store import Store
from lth.models.spec import Factory, ModelSpec, make_model, resolve_factory
from lth.sparsity import (
    CRITERIA,
    PRUNED_ACTIONS,
    SCHEDULES,
    SCOPES,
    Evidence,
    Masks,
    Weights,
    combine,
    prunable,
    select,
    shuffle_within_tensors,
)
from lth.training import derive_seed


class Diverged(Exception):
    """A result cannot be derived because the training that it stands on diverged."""


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """The live objects behind the names in nodes.

    Attributes:
        models: factories by the name in ModelSpec; names that are missing here are looked up in MODELS or imported.
        data: data sets by digest.
    """

    models: dict[str, Factory] = field(default_factory=dict)
    data: dict[str, Data] = field(default_factory=dict)

    def module(self, model: ModelSpec, seed: int = 0) -> torch.nn.Module:
        """A fresh module of this model."""
        return make_model(model, self.models.get(model.name) or resolve_factory(model.name), seed)

    def split(self, spec: DataSpec) -> Split:
        """The examples of this data, validation held out.

        Raises:
            ValueError: if the data set is not at hand.
        """
        if spec.digest not in self.data:
            raise ValueError(f"the data set with digest {spec.digest[:12]}... is not at hand: load it first")
        return split(self.data[spec.digest], spec.validation, spec.split_seed)


@dataclass(frozen=True, slots=True, eq=False)
class Deriver:
    """Evaluates nodes against a store."""

    store: Store
    sources: Sources

    def weights(self, node: WeightsNode) -> Weights:
        """The whole state that this node stands for, in fresh tensors.

        Raises:
            StoreError: if a training that it needs is not finished.
        """
        match node:
            case Initial():
                module = self.sources.module(node.model, node.seed)
                return {name: value.detach().clone() for name, value in module.state_dict().items()}
            case Combined():
                kept = self.weights(node.kept)
                state = combine(self.masks(node.masks), kept, PRUNED_ACTIONS[node.pruned](kept))
                return tie(state, self.sources.module(model_of(node)))
            case Trained() | Checkpoint():
                return self.store.read_weights(node)

    def masks(self, node: MasksNode) -> Masks:
        """The masks that this node stands for; once computed they are kept in the store.

        Raises:
            Diverged: if the training that they are chosen by diverged.
            StoreError: if that training is not finished.
        """
        if isinstance(node, Dense):
            return {}
        if self.store.has(node):
            return self.store.read_masks(node)
        masks = (
            self._prune(node)
            if isinstance(node, Pruned)
            else shuffle_within_tensors(self.masks(node.masks), _draws(node))
        )
        self.store.commit_masks(node, masks, environment())
        return masks

    def _prune(self, node: Pruned) -> Masks:
        diverged_at = self.store.read_metrics(node.trained)["diverged_at"]
        if diverged_at is not None:
            raise Diverged(f"the training before level {node.level} diverged at step {diverged_at}")
        pruning = node.pruning
        density = SCHEDULES[pruning.schedule].density
        module = self.sources.module(node.trained.model)
        names = prunable(module, pruning.prune_only, pruning.never_prune)
        initial, final = self.weights(node.trained.start), self.weights(node.trained)
        evidence = Evidence(
            initial={name: initial[name] for name in names},
            final={name: final[name] for name in names},
            generator=_draws(node),
        )
        return select(
            CRITERIA[pruning.criterion](evidence),
            self.masks(node.trained.masks),
            sparsity=1 - density(pruning.rate, node.level),
            scope=SCOPES[pruning.scope],
            by_pattern={pattern: 1 - density(rate, node.level) for pattern, rate in pruning.rates.items()},
        )


def tie(state: Weights, module: torch.nn.Module) -> Weights:
    """The state with further names of a tied weight given the value of its first name, the one that is masked."""
    first: dict[int, str] = {}
    for name, value in module.named_parameters(remove_duplicate=False):
        owner = first.setdefault(id(value), name)
        if owner != name:
            state[name] = state[owner].clone()
    return state


def _draws(node: Node) -> torch.Generator:
    """The randomness of a derived node follows from its key."""
    return torch.Generator().manual_seed(derive_seed(node.key))
