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
    Shuffled,
    Sparsified,
    Trained,
    WeightsNode,
    Whole,
    model_of,
    root_of,
    source_of,
)
from lth.lineage.provenance import environment
from lth.lineage.store import Store
from lth.models.spec import Factory, ModelSpec, make_model, resolve_factory
from lth.sparsity import (
    KEPT_ACTIONS,
    NEEDS_NETWORK,
    NEEDS_TRACES,
    PRUNED_ACTIONS,
    Deferred,
    Evidence,
    Masks,
    Network,
    Restart,
    Weights,
    examples_per_class,
    prunable,
    prune,
    restart,
    shuffle_within_tensors,
    warn_of_collapse,
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
                return self._draw(node.model, node.seed)
            case Combined():
                state = restart(self._restart(node), KEPT_ACTIONS[node.action], PRUNED_ACTIONS[node.pruned])
                return tie(state, self.sources.module(model_of(node)))
            case Trained() | Checkpoint():
                return self.store.read_weights(node)

    def masks(self, node: MasksNode) -> Masks:
        """The masks that this node stands for; once computed they are kept in the store.

        Raises:
            Diverged: if the training that they are chosen by diverged.
            StoreError: if that training is not finished.
        """
        match node:
            case Dense():
                return {}
            case Whole():
                module = self.sources.module(node.model)
                names = prunable(module, node.prune_only, node.never_prune)
                return {name: torch.ones(module.get_parameter(name).shape, dtype=torch.bool) for name in names}
            case _ if self.store.has(node):
                return self.store.read_masks(node)
            case Sparsified():
                self._must_be_finite(node.trained)
                return self.store.read_masks(node)  # its training wrote them: this says that they are missing
            case Pruned():
                masks = self._prune(node)
            case Shuffled():
                masks = shuffle_within_tensors(self.masks(node.masks), _draws(node))
        self.store.commit_masks(node, masks, environment())
        return masks

    def _draw(self, model: ModelSpec, seed: int) -> Weights:
        module = self.sources.module(model, seed)
        return {name: value.detach().clone() for name, value in module.state_dict().items()}

    def _restart(self, node: Combined) -> Restart:
        chosen_by, seed = source_of(node.masks), derive_seed(node.key, "redraw")
        return Restart(
            masks=self.masks(node.masks),
            kept=self.weights(node.kept),
            # Most actions look at few of these, and `start_before` would lead through every level before this one.
            initial=Deferred(lambda: self.weights(root_of(node.kept))),
            signs=Deferred(lambda: self.weights(node.signs or root_of(node.kept))),
            before=Deferred(lambda: self.weights(root_of(chosen_by))),
            after=Deferred(lambda: self.weights(chosen_by)),
            masks_before=Deferred(lambda: self.masks(chosen_by.masks)),
            start_before=Deferred(lambda: self.weights(chosen_by.start)),
            redraw=lambda: self._draw(model_of(node), seed),
            generator=_draws(node),
        )

    def _must_be_finite(self, trained: Trained) -> None:
        diverged_at = self.store.read_metrics(trained)["diverged_at"]
        if diverged_at is not None:
            raise Diverged(f"the training that the masks are chosen by diverged at step {diverged_at}")

    def _prune(self, node: Pruned) -> Masks:
        self._must_be_finite(node.trained)
        pruning, trained = node.pruning, node.trained
        module = self.sources.module(trained.model)
        names = prunable(module, pruning.prune_only, pruning.never_prune)
        final, masks, generator = self.weights(trained), self.masks(trained.masks), _draws(node)
        initial = {name: value.to(final[name].dtype) for name, value in self.weights(trained.start).items()}
        traces = self.store.read_traces(trained).items()
        network = None
        if pruning.criterion in NEEDS_NETWORK:
            split = self.sources.split(trained.data)
            chosen = examples_per_class(split.y_train, pruning.samples, generator)
            inputs = split.x_train[chosen].to(final[names[0]].dtype)
            module = module.to(inputs.dtype)
            network = Network(
                module, initial, final, inputs, split.y_train[chosen], frozen=masks, loss=trained.recipe.loss
            )
        evidence = Evidence(
            initial={name: initial[name] for name in names},
            final={name: final[name] for name in names},
            generator=generator,
            masks=masks,
            network=network,
            traces={kind: {name: trace[name] for name in names} for kind, trace in traces if kind in NEEDS_TRACES},
        )
        chosen_masks = prune(evidence, module, pruning, node.level)
        warn_of_collapse(chosen_masks)
        return chosen_masks


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
