"""The derivation graph: every result is derived from others by one of a few steps, and a node says what determines it.

A *value* (weights, masks) is cheap and derived where it is asked for; a *job* (a training, a measurement) is costly:
planned, leased, resumed. Each kind of node is one file in `kinds/`.

Each node has a **key**, the SHA-256 of its canonical JSON, in which inputs stand by their own keys. Fields at their
default are left out, so that a new field whose default changes nothing keeps old keys. `version` of a kind is raised
when its numbers change.
"""

import hashlib
import json
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field

from lth.models.spec import ModelSpec

if TYPE_CHECKING:
    from lth.lineage.plan import Work
    from lth.lineage.reader import Measured, Reader
    from lth.lineage.sources import Sources
    from lth.lineage.work import Hooks
    from lth.sparsity import Masks, State
    from lth.training import EngineChoice, Where


class DataSpec(BaseModel):
    """What determines the examples: the data set's content, and which of it is held out for validation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str = Field(description="SHA-256 of the content")
    validation: int | str = Field(description="examples held out of the training set, or `own`: the source's part")
    split_seed: int = Field(default=0, description="which examples are held out")
    train_examples: int | None = Field(default=None, description="most examples to train on")
    shots: int | None = Field(default=None, description="train on so many, drawn from what is left: in all, or a class")
    shots_by_class: bool = Field(default=False, description="whether `shots` are of each class")
    shots_seed: int = Field(default=0, description="which are drawn")


class Node(BaseModel):
    """A result, by what determines it. Two nodes are equal if their keys are."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: ClassVar[int] = 1

    def words(self) -> str:
        """Return what the node is and what it is made from, with inputs by the first 8 digits of their keys."""
        return self.kind_name

    @property
    def kind_name(self) -> str:
        """The kind's name, as it stands in records."""
        return type(self).__name__

    @property
    def inputs(self) -> list["Node"]:
        """The nodes that this one is derived from, those in tuples too."""
        return [node for name in type(self).model_fields for node in _nodes_in(getattr(self, name))]

    @property
    def made_by(self) -> "tuple[Job, int] | None":
        """The job on whose way this result is left, and after which step; None for what is derived."""
        return None

    @cached_property
    def document(self) -> dict[str, Any]:
        """This node as JSON values: its kind, version, and the fields that differ from their default; inputs by key."""
        fields: dict[str, Any] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if value != info.default:
                fields[name] = _as_json(value, exclude_defaults=True)
        return {"kind": self.kind_name, "version": self.version, "fields": fields}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every field that is no input, defaults included, as JSON values: what a stored result is compared with."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: _as_json(value, exclude_defaults=False)
            for name, value in values.items()
            if not any(True for _ in _nodes_in(value))
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
        return f"{self.kind_name}({self.key[:8]})"


class WeightsNode(Node):
    """A full state of a network: parameters and buffers."""

    @property
    def before(self) -> "WeightsNode | None":
        """The first state that this one is derived from; None for an initialisation."""
        return next((node for node in self.inputs if isinstance(node, WeightsNode)), None)

    @property
    def root(self) -> "WeightsNode":
        """The initialisation that the state grew from."""
        node = self
        while (before := node.before) is not None:  # derivations may be deeper than Python's stack
            node = before
        return node

    @property
    def model(self) -> ModelSpec:
        """The model that the state belongs to: that of the state before, unless a kind says otherwise."""
        node: WeightsNode | None = self
        while node is not None and type(node).model is WeightsNode.model:
            node = node.before
        if node is None:
            raise NotImplementedError(f"{self!r} is derived from no other state, so its kind must say its model")
        return node.model

    def derive(self, reader: "Reader") -> "State":
        """Return the state, in fresh tensors."""
        raise NotImplementedError


class MasksNode(Node):
    """Masks of a network's prunable parameters."""

    stored: ClassVar[bool] = True

    @property
    def planned_density(self) -> float | None:
        """Fraction of the prunable weights that the masks will keep; None if that is not known before they are made."""
        return None

    def derive(self, reader: "Reader") -> "Masks":
        """Return the masks."""
        raise NotImplementedError


class Job(Node):
    """A result that is costly to make: planned, leased, resumed, and run by an executor."""

    @property
    def alike(self) -> Hashable:
        """What jobs must share to run in one program."""
        return self.key

    @property
    def steps(self) -> int:
        """What it costs, in optimizer steps or what takes about as long: for plans and progress."""
        return 1

    @property
    def first_step(self) -> int:
        """Where its count of steps begins."""
        return 0

    @property
    def density(self) -> float | None:
        """Density of the network that it trains, 1.0 where that is not known yet; None where it trains none."""
        return None

    def choose_engine(self, sources: "Sources", *, engine: str, device: str, population: int) -> "EngineChoice | None":
        """Return the engine that trains its network where none has begun, and why; None where it trains none.

        Args:
            sources: make its module.
            engine: an entry of ENGINES, or `auto`.
            device: `cpu` or a CUDA device.
            population: members stacked in one program.
        Raises:
            ValueError: if the engine is unknown, or cannot train it.
        """
        return None

    @property
    def shared(self) -> bool:
        """Whether several processes do it together, where they were started so; otherwise the first one does it."""
        return False

    @classmethod
    def run(cls, works: Sequence["Work"], reader: "Reader", where: "Where", hooks: "Hooks") -> None:
        """Do some works of one kind side by side, and commit their results.

        Raises:
            Interrupted: if asked to stop; snapshots are kept.
        """
        raise NotImplementedError

    def measured(self, document: dict[str, Any]) -> "list[Measured]":
        """Return what the content of its metrics.json says: one item for each network that it measured."""
        raise NotImplementedError


def derivation(*targets: Node) -> dict[str, Node]:
    """Return all nodes that the targets are derived from, themselves included, by key: inputs first."""
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
            stack.extend((value, False) for value in reversed(node.inputs))
    return order


def to_documents(*targets: Node) -> list[dict[str, Any]]:
    """Return the derivation as JSON values, inputs first: what a ticket carries and a worker is sent."""
    return [node.document | {"key": key} for key, node in derivation(*targets).items()]


def from_documents(documents: Iterable[dict[str, Any]]) -> dict[str, Node]:
    """Return the nodes of a derivation, by key.

    Raises:
        ValueError: if a document is of an unknown kind or version, is out of order, or does not give its own key.
    """
    from lth.lineage.kinds.table import NODES

    nodes: dict[str, Node] = {}
    for document in documents:
        kind, key = str(document.get("kind")), document.get("key")
        if kind not in NODES or document.get("version") != NODES[kind].version:
            raise ValueError(
                f"the derivation has a node {kind!r} of version {document.get('version')}; this lth knows "
                f"{', '.join(f'{name} {node.version}' for name, node in NODES.items())}"
            )
        node_class = NODES[kind]
        fields = {
            name: _resolved(value, nodes) if _holds_nodes(node_class, name) else value
            for name, value in document["fields"].items()
        }
        node = node_class.model_validate(fields)
        if node.key != key:
            raise ValueError(
                f"the derivation's node {str(key)[:12]} ({kind}) does not give its own key: it was altered"
            )
        nodes[node.key] = node
    return nodes


def _nodes_in(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _nodes_in(part)


def _as_json(value: Any, *, exclude_defaults: bool) -> Any:
    if isinstance(value, Node):
        return value.key
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=exclude_defaults)
    if isinstance(value, tuple):
        return [_as_json(part, exclude_defaults=exclude_defaults) for part in value]
    return value


def _holds_nodes(node_class: type[Node], field: str) -> bool:
    """Return whether a field's type is a node, several, or perhaps one."""

    def is_node(annotation: Any) -> bool:
        if isinstance(annotation, type):
            return issubclass(annotation, Node)
        return any(map(is_node, get_args(annotation)))

    info = node_class.model_fields.get(field)
    return info is not None and is_node(info.annotation)


def _resolved(value: Any, nodes: dict[str, Node]) -> Any:
    if isinstance(value, list):
        return tuple(_resolved(part, nodes) for part in value)
    return nodes.get(value, value)
