"""Which weights survive, beside the base rate that a claim about some of them needs."""

from dataclasses import dataclass

import torch

from lth.sparsity.select import select
from lth.sparsity.types import Masks, Weights


@dataclass(frozen=True, slots=True)
class Survival:
    """How many of some weights of a tensor are kept.

    Attributes:
        num_places: weights in question that were kept before.
        rate: share of them that is kept after; None where there are none.
        base_rate: the same share of all weights of the tensor that were kept before: what any of them could expect.
    """

    num_places: int
    rate: float | None
    base_rate: float | None


def survival(masks_before: Masks, masks_after: Masks, places: Masks) -> dict[str, Survival]:
    """Return the survival of some weights beside that of all, by tensor.

    Args:
        masks_before: masks that the weights were kept by; a parameter without one is dense.
        masks_after: masks that some of them are kept by; a parameter without one is dense.
        places: the weights in question, True; `largest` for example.
    Raises:
        ValueError: if masks of a tensor differ in shape.
    """
    result = {}
    for name, place in places.items():
        dense = torch.ones_like(place)
        before, after = (masks.get(name, dense).to(place.device) for masks in (masks_before, masks_after))
        if not before.shape == after.shape == place.shape:
            raise ValueError(
                f"{name!r} has shapes {tuple(before.shape)}, {tuple(after.shape)} and {tuple(place.shape)}: compare "
                "masks of one architecture"
            )
        result[name] = Survival(
            num_places=int((place & before).sum()),
            rate=_share(place & before, after),
            base_rate=_share(before, after),
        )
    return result


def largest(weights: Weights, share: float = 0.1) -> Masks:
    """Return where each tensor's largest magnitudes stand, True; of equal ones the higher index counts as larger.

    Args:
        weights: the tensors, such as the prunable ones at the start.
        share: of each tensor's weights, in [0, 1].
    """
    return {name: select({name: value}, {}, density=share, key=torch.abs)[name] for name, value in weights.items()}


def same_tenth(values: torch.Tensor, index: tuple[int, ...]) -> torch.Tensor:
    """Return where magnitudes lie in the same tenth of their ranks as one entry, True; that entry is among them.

    Ranks go from the smallest magnitude up, of equal ones by index.

    Args:
        values: a tensor.
        index: of the entry.
    """
    size = values.numel()
    order = values.abs().flatten().argsort(stable=True)
    flat = int(torch.arange(size).reshape(values.shape)[index])
    tenth = int((order == flat).nonzero()) * 10 // size
    first, last = -(-tenth * size // 10), -(-(tenth + 1) * size // 10)
    places = torch.zeros(size, dtype=torch.bool)
    places[order[first:last]] = True
    return places.reshape(values.shape)


def _share(before: torch.Tensor, after: torch.Tensor) -> float | None:
    total = int(before.sum())
    return int((before & after).sum()) / total if total else None
