"""Which weights of a matrix an intervention multiplies: some weights, their rows and columns, or others beside them."""

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Places = Sequence[tuple[int, int]]
"""(output, input) channels of some weights in one matrix."""

Chosen = Callable[[Tensor, Places, int, int], Tensor]
"""(matrix (output, input), places, how many others, seed) -> bool mask of the matrix."""

Pick = Callable[[Tensor, set[int], int, int], list[int]]
"""(scores (item,), items to leave alone, how many, seed) -> items."""


def nothing(matrix: Tensor, places: Places, count: int, seed: int) -> Tensor:
    return torch.zeros(matrix.shape, dtype=torch.bool, device=matrix.device)


def weights(matrix: Tensor, places: Places, count: int, seed: int) -> Tensor:
    """Choose the weights at the places."""
    chosen = nothing(matrix, places, count, seed)
    for place in places:
        chosen[place] = True
    return chosen


def rows(matrix: Tensor, places: Places, count: int, seed: int) -> Tensor:
    """Choose the whole rows of the places: output channels."""
    return weights(matrix, places, count, seed).any(1, keepdim=True).repeat(1, matrix.shape[1])


def columns(matrix: Tensor, places: Places, count: int, seed: int) -> Tensor:
    """Choose the whole columns of the places: neurons."""
    return weights(matrix, places, count, seed).any(0, keepdim=True).repeat(matrix.shape[0], 1)


def rows_without(matrix: Tensor, places: Places, count: int, seed: int) -> Tensor:
    """Choose the rows of the places, but for the weights there."""
    return rows(matrix, places, count, seed) & ~weights(matrix, places, count, seed)


def columns_without(matrix: Tensor, places: Places, count: int, seed: int) -> Tensor:
    """Choose the columns of the places, but for the weights there."""
    return columns(matrix, places, count, seed) & ~weights(matrix, places, count, seed)


def other_weights(pick: Pick) -> Chosen:
    """Return the choice of weights other than those at the places; scores are magnitudes."""

    def chosen(matrix: Tensor, places: Places, count: int, seed: int) -> Tensor:
        width = matrix.shape[1]
        without = {row * width + column for row, column in places}
        mask = torch.zeros(matrix.numel(), dtype=torch.bool, device=matrix.device)
        mask[pick(matrix.abs().flatten(), without, count, seed)] = True
        return mask.view(matrix.shape)

    return chosen


def other_lines(pick: Pick, axis: int) -> Chosen:
    """Return the choice of rows (axis 0) or columns (axis 1) other than those of the places; scores are norms."""

    def chosen(matrix: Tensor, places: Places, count: int, seed: int) -> Tensor:
        norms = matrix.float().norm(dim=1 - axis)
        picked = pick(norms, {place[axis] for place in places}, count, seed)
        mask = nothing(matrix, places, count, seed)
        mask[(picked,) if axis == 0 else (slice(None), picked)] = True
        return mask

    return chosen


def drawn(scores: Tensor, without: set[int], count: int, seed: int) -> list[int]:
    """Return items at random, as the seed draws them; the same on every device and version of torch."""
    _check(len(scores) - len(without), count)
    picked = random.Random(seed).sample(range(len(scores)), count + len(without))
    return [item for item in picked if item not in without][:count]


def largest(scores: Tensor, without: set[int], count: int, seed: int) -> list[int]:
    """Return the items of the largest scores; of equal ones the lower."""
    _check(len(scores) - len(without), count)
    order = scores.float().sort(descending=True, stable=True).indices[: count + len(without)].tolist()
    return [item for item in order if item not in without][:count]


def _check(available: int, count: int) -> None:
    if count > available:
        raise ValueError(f"an intervention asks for {count:,} others, and there are {available:,}: ask for fewer")
