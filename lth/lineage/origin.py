"""The weights that a ticket grew from, theta_0: the root of its derivation, wherever it was rewound to."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from lth.config.text import last_part
from lth.lineage.files import state_digest
from lth.lineage.foreign import pretrained_digest
from lth.lineage.kinds import Combined, Initial, Pretrained, Zeros
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


def model_name(ticket: Ticket) -> str:
    """Return the name that the ticket's search was given, without arguments: a folder's or a model's; else empty."""
    named = ticket.document.get("labels", {}).get("start_from") or ticket.document.get("labels", {}).get("model")
    return last_part(str(named)) if named else ""


def sources_of(
    tickets: Sequence[Ticket], names: Sequence[str], model: Factory | None, start_from: Path | None
) -> Sources:
    """Return what makes the tickets' networks, and where the weights that they grew from lie.

    Args:
        tickets: of one origin.
        names: what to call them.
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
        words = origin_words(root, called=model_name(tickets[0]))
        raise ValueError(f"{start_from} is not asked for: {names[0]} grew from {words}, which is drawn again")
    if digest != root.digest:
        raise ValueError(
            f"{start_from} has digest {digest[:12]}, and {names[0]} grew from "
            f"{origin_words(root, called=model_name(tickets[0]))}: name its folder"
        )
    return Sources(models, weights={digest: start_from})


def check_same_origin(tickets: Sequence[Ticket], names: Sequence[str], sources: Sources) -> None:
    """Check that the weights which tickets prune had the same values at the start of all.

    Compared is what two tickets both prune: its values are one if the roots of their derivations are, or the same
    pre-trained files, or drawn with equal values. What no ticket prunes, as the head of another task, may differ.

    Raises:
        ValueError: if they differ; the message names both.
    """
    first = root_of(tickets[0])
    for ticket, name in zip(tickets[1:], names[1:], strict=True):
        other, shared = root_of(ticket), [each for each in tickets[0].masks if each in ticket.masks]
        if not is_same_origin(first, other, shared, sources):
            one, another = (
                origin_words(root, shared, model_name(each)) for root, each in ((first, tickets[0]), (other, ticket))
            )
            if isinstance(first, Initial) and isinstance(other, Initial) and first.seed == other.seed:
                values = (_digest(each, shared, sources)[:12] for each in (first, other))
                one, another = (
                    f"{words} with values {each}" for words, each in zip((one, another), values, strict=True)
                )
            raise ValueError(
                f"{names[0]} grew from {one}, {name} from {another}: merge tickets of one replicate of one --seed, or "
                "of one pre-trained model"
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


def origin_words(root: WeightsNode, names: Iterable[str] = (), called: str = "") -> str:
    """Return what weights are, in a few words: model, and digest or seed.

    Args:
        root: the weights.
        names: tensors of which it is said if they were drawn beside pre-trained ones.
        called: the name of the model, in place of that of its entry.
    """
    match root:
        case Pretrained():
            drawn = [name for name in names if name in root.fresh]
            more = f", {', '.join(drawn)} drawn with seed {root.seed}" if drawn else ""
            return f"{called or root.spec.name} (digest {root.digest[:12]}{more})"
        case Initial():
            return f"a draw of {called or root.spec.name} (seed {root.seed})"
    return f"{root.kind_name} {root.key[:12]}"


def held_origin(tickets: Sequence[Ticket], masks: Masks) -> State | None:
    """Return the weights that tickets grew from as far as masks keep them, put together from their files.

    A ticket whose kept weights were rewound to step 0 holds those values where its masks keep.

    Args:
        tickets: of one origin; what no ticket prunes is the first one's.
        masks: which entries are asked for; others are no values of theirs.
    Returns:
        The state; None where the files do not hold all of it.
    """
    holding = [ticket for ticket in tickets if ticket.start is not None and _is_at_origin(ticket)]
    if not holding or holding[0] is not tickets[0] or holding[0].start is None:
        return None
    state = dict(holding[0].start)
    for name, mask in masks.items():
        held = torch.zeros_like(mask)
        for ticket in holding:
            if ticket.start is not None and name in ticket.start:
                own = ticket.masks.get(name, torch.ones_like(mask))
                state[name] = torch.where(own & ~held, ticket.start[name], state[name])
                held |= own
        if bool((mask & ~held).any()):
            return None
    return state


def _is_at_origin(ticket: Ticket) -> bool:
    """Return whether the file holds the original values where the masks keep; not if its head was drawn anew."""
    start = ticket.start_node
    return isinstance(start, Combined) and isinstance(start.pruned, Zeros) and start.kept == start.root


def _digest(root: WeightsNode, names: Iterable[str], sources: Sources) -> str:
    """Return the digest of some tensors of a state that can be derived from the sources."""
    state = AtHand({}, {}, sources).weights(root)
    return state_digest({name: state[name] for name in names})
