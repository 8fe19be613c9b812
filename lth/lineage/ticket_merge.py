"""One ticket made of several that grew from the same weights: their masks merged over those weights, not trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch

from lth.config import SettingsError
from lth.lineage.kinds import Combined, Merged, Pretrained, Shuffled, Zeros
from lth.lineage.nodes import MasksNode
from lth.lineage.origin import (
    AtHand,
    check_same_origin,
    held_origin,
    model_name,
    origin_words,
    root_of,
    sources_of,
)
from lth.lineage.sources import Sources
from lth.lineage.ticket import Ticket, make_untrained_ticket, read_ticket, write_ticket
from lth.models import Factory
from lth.sparsity import MERGES, Masks
from lth.sparsity.metrics import Sharing, sharing_by_tensor, sharing_in_all


class SharingDocument(TypedDict):
    """What several masks share, in counts, beside chance; and what was kept of it."""

    weights: int
    sizes: list[int]
    union: int
    intersection: int
    kept: int
    density: float
    iou: float
    chance_iou: float


class MergedDocument(TypedDict):
    """How a ticket was merged, as its document has it under `merged`.

    `not_pruned` names for each ticket the tensors that it does not prune and another does: all is kept there.
    """

    rule: str
    random_union: int | None
    theta_0: str
    not_pruned: list[list[str]]
    tickets: list[dict[str, Any]]
    overall: SharingDocument
    tensors: dict[str, SharingDocument]


def merge_tickets(
    *tickets: Ticket | Path | str,
    rule: str = "union",
    out: Path | str | None = None,
    random_union: int | None = None,
    model: Factory | None = None,
    start_from: Path | str | None = None,
) -> Ticket:
    """Return the ticket of merged masks over the weights that all its tickets grew from.

    Those weights, theta_0, are the root of each ticket's derivation, also where it was rewound to a later step; the
    merged ticket starts from theta_0 where its masks keep, from zero elsewhere, and was not trained. A ticket keeps all
    of a tensor that it does not prune and another does. What no ticket prunes, as the head, is that of the first one
    whose network has every pruned tensor.

    Args:
        tickets: two or more, or their files.
        rule: entry of MERGES; `majority` keeps what more than half of the tickets keep, so that a tie prunes.
        out: the file to write.
        random_union: unites random masks with as many kept weights in each tensor instead: the control of a union. The
            number gives the draw.
        model: the factory, where it is none of lth's.
        start_from: file or folder of the pre-trained weights, where the tickets' files do not hold them.
    Raises:
        SettingsError: if there is one ticket alone, or the rule is unknown.
        ValueError: if their masks or first weights differ, or those are not at hand.
        StoreError: if the file cannot be written.
    """
    MERGES.pick(rule)
    if random_union is not None and rule != "union":
        raise SettingsError(f"a random union is a union; found rule {rule!r}: leave one of the two out")
    if len(tickets) < 2:
        raise SettingsError(f"found {len(tickets)} ticket{'s' * (len(tickets) != 1)}: give two or more to merge")
    opened = opened_alike(tickets, same_tensors=False)
    names = names_of(tickets)
    sources = sources_of(opened, names, model, None if start_from is None else Path(start_from))
    merged = _merged(opened, names, rule, random_union, sources)
    if out is not None:
        if any(Path(out).resolve() == Path(each).resolve() for each in tickets if not isinstance(each, Ticket)):
            raise ValueError(f"{out} is one of the tickets that are merged: name another file")
        write_ticket(merged, Path(out))
    return merged


def names_of(tickets: Sequence[Ticket | Path | str]) -> list[str]:
    """Return what to call tickets in messages: their files, or the start of their keys."""
    return [f"ticket {each.document['key'][:12]}" if isinstance(each, Ticket) else str(each) for each in tickets]


def opened_alike(tickets: Sequence[Ticket | Path | str], same_tensors: bool = True) -> list[Ticket]:
    """Return tickets, read where a file is given, whose masks fit together.

    Args:
        tickets: or their files.
        same_tensors: whether all must prune the same ones; else one in common is enough.
    Raises:
        ValueError: if one cannot be read, or its masks do not fit the first one's.
    """
    opened = [each if isinstance(each, Ticket) else read_ticket(Path(each)) for each in tickets]
    names = names_of(tickets)
    shapes = {name: tuple(mask.shape) for name, mask in opened[0].masks.items()}
    for ticket, name in zip(opened[1:], names[1:], strict=True):
        other = {tensor: tuple(mask.shape) for tensor, mask in ticket.masks.items()}
        if other.keys().isdisjoint(shapes) or (same_tensors and other.keys() != shapes.keys()):
            differing = next(each for each in (*shapes, *other) if each not in shapes or each not in other)
            has, lacks = (names[0], name) if differing in shapes else (name, names[0])
            raise ValueError(
                f"{has} has a mask of {differing!r} and {lacks} has none: give tickets of one architecture that prune "
                "the same tensors"
            )
        if wrong := [tensor for tensor, shape in shapes.items() if other.get(tensor, shape) != shape]:
            raise ValueError(
                f"{wrong[0]!r} has shape {shapes[wrong[0]]} in {names[0]} and {other[wrong[0]]} in {name}: give "
                "tickets of one architecture"
            )
    return opened


def _merged(tickets: list[Ticket], names: list[str], rule: str, random_union: int | None, sources: Sources) -> Ticket:
    known = {ticket.masks_node.key: ticket.masks for ticket in tickets}
    parts: list[MasksNode] = [ticket.masks_node for ticket in tickets]
    if random_union is not None:
        parts = [Shuffled(masks=each, draw=random_union) for each in parts]
    reader = AtHand(known, {}, sources)
    pruned = {name: mask for ticket in reversed(tickets) for name, mask in ticket.masks.items()}
    dense = {name: torch.ones_like(mask) for name, mask in pruned.items()}
    tensors = sharing_by_tensor([dense | reader.masks(each) for each in parts])
    node = Merged(masks=tuple(parts), rule=rule)
    known[node.key] = reader.masks(node)
    kept = {name: int(mask.sum()) for name, mask in known[node.key].items()}
    host = _host(tickets, pruned, sources)
    reader = _with_origin(tickets, names, host, known, known[node.key], sources)
    root = root_of(host)
    document: MergedDocument = {
        "rule": rule,
        "random_union": random_union,
        "theta_0": origin_words(root, called=model_name(host)),
        "not_pruned": [[name for name in pruned if name not in ticket.masks] for ticket in tickets],
        "tickets": [_about(ticket) for ticket in tickets],
        "overall": _in_counts(sharing_in_all(tensors.values()), sum(kept.values())),
        "tensors": {name: _in_counts(each, kept[name]) for name, each in tensors.items()},
    }
    start = Combined(masks=node, kept=root, pruned=Zeros(like=root))
    return make_untrained_ticket(start, reader, {"merged": document})


def _host(tickets: list[Ticket], pruned: Masks, sources: Sources) -> Ticket:
    """Return the first ticket whose network has all pruned tensors: what no ticket prunes is its.

    Raises:
        ValueError: if none has, or a model's code is missing.
    """
    for ticket in tickets:
        if ticket.masks.keys() == pruned.keys():
            return ticket
        ticket.sources(sources if sources.models else None)  # says if a model's code is missing
        if pruned.keys() <= sources.skeleton(ticket.model).state_dict().keys():
            return ticket
    raise ValueError(
        f"no network of the tickets has all that they prune ({', '.join(pruned)}): give tickets of one architecture"
    )


def _with_origin(
    tickets: list[Ticket], names: list[str], host: Ticket, known: dict[str, Masks], masks: Masks, sources: Sources
) -> AtHand:
    """Return a reader that knows the weights which the tickets grew from, and that these are the same for all.

    Raises:
        ValueError: if they are not, or cannot be drawn or read.
    """
    root = root_of(host)
    for ticket in tickets:
        ticket.sources(sources if sources.models else None)  # says if a model's code is missing
    check_same_origin(tickets, names, sources)
    if not isinstance(root, Pretrained) or root.digest in sources.weights:
        return AtHand(known, {}, sources)
    state = held_origin([host, *(ticket for ticket in tickets if ticket is not host)], masks)
    if state is None:
        raise ValueError(
            "the tickets' files do not hold all of the weights that they grew from "
            f"({origin_words(root, called=model_name(host))}): name them with --start-from (start_from)"
        )
    return AtHand(known, {root.key: state}, sources)


def _about(ticket: Ticket) -> dict[str, Any]:
    document = ticket.document
    names = ("key", "masks_digest", "density", "labels")
    merged = {"merged": document["merged"]["rule"]} if "merged" in document else {}
    return {name: document[name] for name in names} | merged


def _in_counts(sharing: Sharing, kept: int) -> SharingDocument:
    return {
        "weights": sharing.num_weights,
        "sizes": list(sharing.sizes),
        "union": sharing.union,
        "intersection": sharing.intersection,
        "kept": kept,
        "density": kept / sharing.num_weights if sharing.num_weights else 1.0,
        "iou": sharing.iou,
        "chance_iou": sharing.chance_iou,
    }
