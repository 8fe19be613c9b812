"""The derivation graph: every result is derived from others by one of a few steps, and a node says what determines it.

Each node has a **key**, the SHA-256 of its canonical JSON, in which inputs stand by their own keys. Fields at their
default are left out, so that a new field whose default changes nothing keeps old keys. `version` of a node type is
raised when its numbers change.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from lth.config import Pruning, Recipe, Sparsifier
from lth.models.spec import ModelSpec
from lth.training import Seeds


class DataSpec(BaseModel):
    """What determines the examples: the data set's content, and which of it is held out for validation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str = Field(description="SHA-256 of the content")
    validation: int = Field(gt=0, description="examples held out of the training set")
    split_seed: int = Field(default=0, description="which examples are held out")


class Node(BaseModel):
    """A result, by what determines it. Two nodes are equal if their keys are."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: ClassVar[int] = 1

    @property
    def kind(self) -> str:
        """The type's name, as it stands in records."""
        return type(self).__name__

    @property
    def inputs(self) -> dict[str, "Node"]:
        """The nodes that this one is derived from, by field."""
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Node)}

    @cached_property
    def document(self) -> dict[str, Any]:
        """This node as JSON values: its kind, version, and the fields that differ from their default; inputs by key."""
        fields: dict[str, Any] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Node):
                fields[name] = value.key
            elif isinstance(value, BaseModel):
                fields[name] = value.model_dump(mode="json", exclude_defaults=True)
            elif value != info.default:
                fields[name] = value
        return {"kind": self.kind, "version": self.version, "fields": fields}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every field that is no input, defaults included, as JSON values: what a stored result is compared with."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name not in self.inputs}
        return {
            name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            for name, value in values.items()
        }

    @cached_property
    def key(self) -> str:
        """64 hex digits that identify this result."""
        canonical = json.dumps(self.document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"{self.kind}({self.key[:8]})"


class Initial(Node):
    """A model's freshly drawn weights."""

    model: ModelSpec
    seed: int


class Dense(Node):
    """Masks that keep everything."""


class Whole(Node):
    """Masks that keep every prunable weight: what a training that prunes on its way starts from."""

    model: ModelSpec
    prune_only: tuple[str, ...] = ()
    never_prune: tuple[str, ...] = ()


class Trained(Node):
    """The end of a training from `start` under `masks`, and its metrics."""

    start: "Initial | Combined | Checkpoint | Trained"
    masks: "Dense | Whole | Pruned | Shuffled | Sparsified"
    data: DataSpec
    recipe: Recipe
    seeds: Seeds
    first_step: int = Field(default=0, ge=0, description="where in the recipe's schedule and data order it starts")
    sparsifier: Sparsifier | None = Field(default=None, description="what prunes within the training")
    traces: tuple[str, ...] = Field(default=(), description="sums and moments that are kept beside the weights")
    moments: "Trained | None" = Field(default=None, description="whose last optimizer moments it starts with")

    @property
    def model(self) -> ModelSpec:
        """The model that is trained."""
        return model_of(self.start)

    def at(self, step: int) -> "Initial | Combined | Checkpoint | Trained":
        """The whole state after `step` updates; at its first step that is the start itself."""
        return self.start if step == self.first_step else Checkpoint(trained=self, step=step)


class Checkpoint(Node):
    """The whole state of a training after `step` updates."""

    trained: Trained
    step: int = Field(gt=0)


class Sparsified(Node):
    """Masks that a training which prunes on its way ended with."""

    trained: Trained


class Pruned(Node):
    """Masks chosen by what a training made of the weights, among those that its own masks kept."""

    trained: Trained
    pruning: Pruning
    level: int = Field(ge=1)


class Shuffled(Node):
    """Random masks with the density of each tensor of `masks`. The draw follows from the key; `draw` makes several."""

    masks: "Pruned | Sparsified"
    draw: int = 0


class Combined(Node):
    """A start: values from `kept`, changed by the kept action, where the masks keep; the pruned action's elsewhere."""

    masks: "Pruned | Shuffled | Sparsified"
    kept: "Initial | Combined | Checkpoint | Trained"
    pruned: str = "zero"
    action: str = Field(default="copy", description="entry of KEPT_ACTIONS")
    signs: "Initial | Combined | Checkpoint | Trained | None" = Field(
        default=None, description="whose signs a signed action takes; by default those of `kept`'s initialisation"
    )


WeightsNode = Initial | Combined | Checkpoint | Trained
MasksNode = Dense | Whole | Pruned | Shuffled | Sparsified

NODES: dict[str, type[Node]] = {
    node.__name__: node for node in (Initial, Dense, Whole, Trained, Checkpoint, Sparsified, Pruned, Shuffled, Combined)
}
for _node in NODES.values():
    _node.model_rebuild()


def model_of(weights: WeightsNode) -> ModelSpec:
    """The model that a state belongs to."""
    return root_of(weights).model


def root_of(weights: WeightsNode) -> Initial:
    """The initialisation that a state grew from: of a combined one, that of its kept weights."""
    while not isinstance(weights, Initial):
        weights = (
            weights.kept
            if isinstance(weights, Combined)
            else weights.trained
            if isinstance(weights, Checkpoint)
            else weights.start
        )
    return weights


def source_of(masks: "Pruned | Shuffled | Sparsified") -> Trained:
    """The training that masks were chosen by (shuffled ones: those that were shuffled)."""
    return source_of(masks.masks) if isinstance(masks, Shuffled) else masks.trained


def derivation(*targets: Node) -> dict[str, Node]:
    """All nodes that the targets are derived from, themselves included, by key: inputs before what is made of them."""
    order: dict[str, Node] = {}
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(target, False) for target in reversed(targets)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            order.setdefault(node.key, node)  # keys are computed from the inputs up, however deep the graph is
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((value, False) for value in reversed(node.inputs.values()))
    return order


def to_documents(*targets: Node) -> list[dict[str, Any]]:
    """The derivation as JSON values, inputs first: what a ticket carries and a worker is sent."""
    return [node.document | {"key": key} for key, node in derivation(*targets).items()]


def from_documents(documents: Iterable[dict[str, Any]]) -> dict[str, Node]:
    """The nodes of a derivation, by key.

    Raises:
        ValueError: if a document is of an unknown kind or version, is out of order, or does not give its own key.
    """
    nodes: dict[str, Node] = {}
    for document in documents:
        kind, key = document.get("kind"), document.get("key")
        if kind not in NODES or document.get("version") != NODES[kind].version:
            raise ValueError(
                f"the derivation has a node {kind!r} of version {document.get('version')}; this lth knows "
                f"{', '.join(f'{name} {node.version}' for name, node in NODES.items())}"
            )
        names = NODES[kind].model_fields
        fields = {
            name: nodes.get(value, value) if isinstance(value, str) and name in names else value
            for name, value in document["fields"].items()
        }
        node = NODES[kind].model_validate(fields)
        if node.key != key:
            raise ValueError(
                f"the derivation's node {str(key)[:12]} ({kind}) does not give its own key: it was altered"
            )
        nodes[node.key] = node
    return nodes
