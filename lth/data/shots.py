"""Few examples to train on."""

import torch

from lth.data.order import seeded_generator
from lth.data.splits import chosen
from lth.data.types import Data, Examples

CHUNK = 1000
"""Examples whose classes are looked at together."""


def num_classes(data: Data) -> int:
    """Return how many classes a data set has.

    Raises:
        ValueError: if it has none.
    """
    if "num_classes" not in data.facts:
        raise ValueError(f"{data.name} has no classes, of each of which examples could be drawn: count them in all")
    return int(data.facts["num_classes"])


def draw_shots(train: Examples, count: int, seed: int, classes: int | None = None) -> Examples:
    """Return so many examples, drawn without replacement; they keep their order.

    Of one seed, fewer examples are among more of them.

    Args:
        train: what is drawn from.
        count: in all, or of each class.
        seed: which are drawn.
        classes: how many there are, where `count` is of each.
    Raises:
        ValueError: if there are not so many.
    """
    order = torch.randperm(len(train), generator=seeded_generator("shots", seed))
    if classes is not None:
        order = _of_each(train, order, count, classes)
    elif count > len(train):
        raise ValueError(f"shots: {count:,} examples were asked for, and there are {len(train):,} to draw from")
    else:
        order = order[:count]
    return chosen(train, order.sort().values)


def _of_each(train: Examples, order: torch.Tensor, count: int, classes: int) -> torch.Tensor:
    """Return the first examples of each class in an order."""
    found: list[list[int]] = [[] for _ in range(classes)]
    for start in range(0, len(order), CHUNK):
        chunk = order[start : start + CHUNK]
        labels = train.take(chunk, torch.device("cpu"))["y"].tolist()
        for position, label in zip(chunk.tolist(), labels, strict=True):
            if len(found[label]) < count:
                found[label].append(position)
        if all(len(each) == count for each in found):
            return torch.tensor([position for each in found for position in each])
    few = min(range(classes), key=lambda label: len(found[label]))
    raise ValueError(
        f"shots: {count:,} examples of each class were asked for, and there are {len(found[few]):,} of class {few} to "
        "draw from"
    )
