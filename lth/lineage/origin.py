"""The weights that a ticket grew from, theta_0: the root of its derivation, wherever it was rewound to."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from lth.lineage.files import state_digest
from lth.lineage.foreign import pretrained_digest
from lth.lineage.kinds import Combined, Grafted, Initial, Pretrained, Zeros
from lth.lineage.nodes import MasksNode, WeightsNode
from lth.lineage.reader import Reader
from lth.lineage.sources import Sources
from lth.lineage.store import Store
from lth.lineage.ticket import Ticket
from lth.models import Factory
from lth.sparsity import Masks, State


class AtHand(Reader):
    """Derives nodes from masks and weights that are at hand, by key, and reads no store.

    Args:
        masks: known masks.
        weights: known states.
        sources: the live objects behind names.
    """

    def __init__(self, masks: dict[str, Masks], weights: dict[str, State], sources: Sources) -> None:
        super().__init__(Store(Path("lth-store")), sources)
        self._masks, self._weights = masks, weights

    def weights(self, node: WeightsNode) -> State:
        """Return a state that is known, or derived from those that are."""
        if node.key in self._weights:
            return {name: value.clone() for name, value in self._weights[node.key].items()}
        return super().weights(node)

    def masks(self, node: MasksNode) -> Masks:
        """Return masks that are known, or derived from those that are; nothing is stored."""
        return self._masks[node.key] if node.key in self._masks else node.derive(self)


def root_of(ticket: Ticket) -> WeightsNode:
    """Return the weights that the ticket grew from, as a node."""
    return ticket.start_node.root


def sources_of(tickets: Sequence[Ticket], model: Factory | None, start_from: Path | None) -> Sources:
    """Return what makes the tickets' networks, and where the weights that they grew from lie.

    Args:
        tickets: of one origin.
        model: the factory, where it is none of lth's.
        start_from: the file or folder of the pre-trained weights.
    Raises:
        ValueError: if the folder holds other weights, or is not asked for.
    """
    models = {} if model is None else {ticket.model.name: model for ticket in tickets}
    if start_from is None:
        return Sources(models)
    root, digest = root_of(tickets[0]), pretrained_digest(start_from)
    if not isinstance(root, Pretrained):
        raise ValueError(f"{start_from} is not asked for: the tickets start from {origin_words(root)}")
    if digest != root.digest:
        raise ValueError(
            f"{start_from} has digest {digest[:12]}, the tickets start from {origin_words(root)}: name its folder"
        )
    return Sources(models, weights={digest: start_from})


def check_same_origin(tickets: Sequence[Ticket], sources: Sources) -> None:
    """Check that the weights which tickets prune had the same values at the start of all.

    They had if the roots of their derivations are one, or the same pre-trained files, or drawn with equal values: what
    no ticket prunes, as the head of another task, may differ.

    Raises:
        ValueError: if they differ; the message names both.
    """
    first, names = root_of(tickets[0]), list(tickets[0].masks)
    for ticket in tickets[1:]:
        other = root_of(ticket)
        if not is_same_origin(first, other, names, sources):
            one, another = (origin_words(each, names) for each in (first, other))
            if isinstance(first, Initial) and isinstance(other, Initial) and first.seed == other.seed:
                values = (_digest(each, names, sources)[:12] for each in (first, other))
                one, another = (f"{words} (values {each})" for words, each in zip((one, another), values, strict=True))
            raise ValueError(
                f"the tickets start from different weights, {one} and {another}: merge tickets that grew from the same"
            )


def is_same_origin(first: WeightsNode, other: WeightsNode, names: Iterable[str], sources: Sources) -> bool:
    """Return whether some tensors of two tickets' first weights have equal values.

    Raises:
        ValueError: if only their values would tell, and those cannot be drawn or read.
    """
    if first.key == other.key:
        return True
    match first, other:
        case Pretrained(), Pretrained() if first.digest == other.digest:
            drawn = [name for name in names if name in first.fresh or name in other.fresh]
            return not drawn or _digest(first, drawn, sources) == _digest(other, drawn, sources)
        case Initial(), Initial() if first.seed == other.seed:
            return _digest(first, names, sources) == _digest(other, names, sources)
    return False


def origin_words(root: WeightsNode, names: Iterable[str] = ()) -> str:
    """Return what weights are, in a few words: kind, model, and digest or seed.

    Args:
        root: the weights.
        names: tensors of which it is said if they were drawn beside pre-trained ones.
    """
    match root:
        case Pretrained():
            drawn = [name for name in names if name in root.fresh]
            more = f", {', '.join(drawn)} drawn with seed {root.seed}" if drawn else ""
            return f"Pretrained {root.spec.name}, digest {root.digest[:12]}{more}"
        case Initial():
            return f"Initial {root.spec.name}, seed {root.seed}"
    return f"{root.kind_name} {root.key[:12]}"


def held_origin(tickets: Sequence[Ticket], masks: Masks) -> State | None:
    """Return the weights that tickets grew from as far as masks keep them, put together from their files.

    A ticket whose kept weights were rewound to step 0 holds those values where its masks keep.

    Args:
        tickets: of one origin; what has no mask is the first one's.
        masks: which entries are asked for; others are no values of theirs.
    Returns:
        The state; None where the files do not hold all of it.
    """
    holding = [ticket for ticket in tickets if ticket.start is not None and _is_at_origin(ticket)]
    if not holding or holding[0] is not tickets[0] or holding[0].start is None:
        return None
    state = dict(holding[0].start)
    for name, mask in masks.items():
        held = torch.stack([ticket.masks[name] for ticket in holding]).any(0)
        if bool((mask & ~held).any()):
            return None
        for ticket in holding[1:]:
            assert ticket.start is not None
            state[name] = torch.where(ticket.masks[name], ticket.start[name], state[name])
    return state


def _is_at_origin(ticket: Ticket) -> bool:
    """Return whether the file holds the original values where the masks keep."""
    start = ticket.start_node
    if not isinstance(start, Combined) or not isinstance(start.pruned, Zeros):
        return False
    kept = start.kept
    while isinstance(kept, Grafted) and ticket.masks.keys().isdisjoint(kept.names):  # another head
        kept = kept.of
    return kept == start.root


def _digest(root: WeightsNode, names: Iterable[str], sources: Sources) -> str:
    """Return the digest of some tensors of a state that can be derived from the sources."""
    state = AtHand({}, {}, sources).weights(root)
    return state_digest({name: state[name] for name in names})
