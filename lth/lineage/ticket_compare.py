"""Two tickets side by side: what their masks share beside chance, and how alike their weights point."""

from pathlib import Path
from typing import Any, TypedDict

import torch

from lth.lineage.origin import is_same_origin, model_name, origin_words, root_of
from lth.lineage.sources import Sources
from lth.lineage.store import Store
from lth.lineage.ticket import Ticket
from lth.lineage.ticket_merge import opened_alike
from lth.models import Factory
from lth.sparsity import Masks, State
from lth.sparsity.metrics import Overlap, Products, overlap_by_tensor, pooled, products, products_in_all


class CosineDocument(TypedDict):
    """The cosine of two tickets' weights; None where one side is zero or empty."""

    all: float | None
    kept_by_both: float | None


class ComparedTensor(TypedDict):
    """Two tickets in one tensor, or in all: counts, overlap beside chance, cosines by whose weights."""

    weights: int
    sizes: list[int]
    both: int
    iou: float
    chance_iou: float
    cosine: dict[str, CosineDocument]


class ComparedTickets(TypedDict):
    """Two tickets side by side.

    `cosine` entries are by `trained` and `starting`, those that are at hand; `mean_cosine` is the mean over pruned
    tensors, `unpruned` the cosine of every other tensor that both have in one shape.
    """

    tickets: list[dict[str, Any]]
    theta_0: list[str]
    same_theta_0: bool | None
    notes: list[str]
    overall: ComparedTensor
    tensors: dict[str, ComparedTensor]
    mean_cosine: dict[str, CosineDocument]
    unpruned: dict[str, dict[str, float | None]]


def compare_tickets(
    first: Ticket | Path | str,
    second: Ticket | Path | str,
    *,
    store: Path | str | Store | None = None,
    model: Factory | None = None,
) -> ComparedTickets:
    """Return what two tickets of one architecture have in common, tensor by tensor and in all.

    Args:
        first: a ticket, or its file.
        second: another; they may have grown from different weights.
        store: where both were trained: their trained weights are compared, beside the starting ones.
        model: the factory, where it is none of lth's.
    Raises:
        ValueError: if one is no ticket, their masks are of other tensors, or one was not trained and a store is given.
        StoreError: if the store does not hold their trainings.
    """
    opened = opened_alike([first, second])
    states, notes = _states(opened, store, model)
    masks = (opened[0].masks, opened[1].masks)
    overlaps = overlap_by_tensor(*masks)
    pairs = {whose: _products(*pair, masks) for whose, pair in states.items()}
    tensors: dict[str, ComparedTensor] = {
        name: _compared(each, {whose: pair[name] for whose, pair in pairs.items()}) for name, each in overlaps.items()
    }
    in_all = {
        whose: (products_in_all(each for each, _ in pair.values()), products_in_all(each for _, each in pair.values()))
        for whose, pair in pairs.items()
    }
    return {
        "tickets": [{name: each.document[name] for name in ("key", "labels", "density")} for each in opened],
        "theta_0": [origin_words(root_of(each), called=model_name(each)) for each in opened],
        "same_theta_0": _same_origin(opened, model),
        "notes": notes,
        "overall": _compared(pooled(overlaps.values()), in_all),
        "tensors": tensors,
        "mean_cosine": {whose: _mean([each["cosine"][whose] for each in tensors.values()]) for whose in states},
        "unpruned": {whose: _unpruned(*pair, masks[0]) for whose, pair in states.items()},
    }


def _states(
    tickets: list[Ticket], store: Path | str | Store | None, model: Factory | None
) -> tuple[dict[str, tuple[State, State]], list[str]]:
    """Return both tickets' weights, trained and starting as far as they are at hand; and what is not, and why."""
    states: dict[str, tuple[State, State]] = {}
    notes = []
    if store is None:
        notes.append("no trained weights: --store (store) names the folder in which both were trained")
    else:
        one, other = (each.trained_weights(store) for each in tickets)
        states["trained"] = (one, other)
    try:
        one, other = (each.starting_weights(model) for each in tickets)
        states["starting"] = (one, other)
    except ValueError as error:
        notes.append(f"no starting weights: {error}")
    return states, notes


def _same_origin(tickets: list[Ticket], model: Factory | None) -> bool | None:
    """Return whether both grew from the same weights; None where that cannot be said without their files or code."""
    first, second = (root_of(each) for each in tickets)
    if first.key == second.key:
        return True
    try:
        sources = Sources({} if model is None else {each.model.name: model for each in tickets})
        for ticket in tickets:
            ticket.sources(model)  # says if a model's code is missing
        return is_same_origin(first, second, list(tickets[0].masks), sources)
    except ValueError:
        return None


def _products(one: State, other: State, masks: tuple[Masks, Masks]) -> dict[str, tuple[Products, Products]]:
    """Return the inner products of each pruned tensor: of all entries, and of those that both masks keep."""
    both = {name: mask & masks[1][name] for name, mask in masks[0].items()}
    return {
        name: (products(one[name], other[name]), products(one[name], other[name], mask)) for name, mask in both.items()
    }


def _compared(overlap: Overlap, pairs: dict[str, tuple[Products, Products]]) -> ComparedTensor:
    return {
        "weights": overlap.num_weights,
        "sizes": [overlap.earlier, overlap.later],
        "both": overlap.both,
        "iou": overlap.iou,
        "chance_iou": overlap.chance_iou,
        "cosine": {
            whose: {"all": everything.cosine, "kept_by_both": kept.cosine}
            for whose, (everything, kept) in pairs.items()
        },
    }


def _mean(cosines: list[CosineDocument]) -> CosineDocument:
    """Return the mean over tensors, of those that have a cosine."""

    def mean(values: list[float | None]) -> float | None:
        present = [value for value in values if value is not None]
        return sum(present) / len(present) if present else None

    return {
        "all": mean([each["all"] for each in cosines]),
        "kept_by_both": mean([each["kept_by_both"] for each in cosines]),
    }


def _unpruned(one: State, other: State, masks: Masks) -> dict[str, float | None]:
    """Return the cosine of every tensor without a mask that both states have in one shape: of numbers, not counts."""
    return {
        name: products(value, other[name]).cosine
        for name, value in one.items()
        if name not in masks and name in other and other[name].shape == value.shape and torch.is_floating_point(value)
    }
