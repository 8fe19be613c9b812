"""What a training reads: validation examples held out of the training set, so that the test set never chooses."""

import torch

from lth.data.arrays import Arrays
from lth.data.order import seeded_generator
from lth.data.types import Data, Examples, Parts, Subset

OWN = "own"
"""In place of a number of validation examples: the source's own part."""


def default_validation(data: Data) -> int | str:
    """Return the usual validation part: the source's own, else 5,000, or a tenth of the training set if that is less.

    Of data that nothing is trained on, which have no training part, it is the source's own, too: there may be none.

    Source: Frankle & Carbin 2019, arXiv:1803.03635, appendix B (5,000 of MNIST's 60,000).
    """
    if "validation" in data.parts or "train" not in data.parts:
        return OWN
    return max(1, min(5000, len(data.parts["train"]) // 10))


def split(data: Data, validation: int | str, seed: int = 0, train_examples: int | None = None) -> Parts:
    """Return the parts of a data set, with validation examples held out of the training part.

    A permutation seeded by `seed` picks the held-out examples, and then those to train on; they keep their order.
    Data without a training part come as they are.

    Args:
        data: the data set; it is not changed.
        validation: number of examples to hold out, at least 1 (early stopping needs them); or `own`.
        seed: seed of the permutation.
        train_examples: most examples to train on; None keeps all that are left.
    Raises:
        ValueError: if `validation` is below 1 or leaves nothing to train on, or the source has no part of its own.
    """
    if "train" not in data.parts:  # only measured on
        return dict(data.parts)
    train = data.parts["train"]
    if train_examples is not None and train_examples < 1:
        raise ValueError(f"cannot train on {train_examples} examples of {data.name}: 1 is the least")
    own = validation == OWN
    if own and "validation" not in data.parts:
        raise ValueError(f"{data.name} has no validation part of its own: give a number of examples to hold out")
    held = 0 if own else int(validation)
    if not own and not 1 <= held < len(train):
        raise ValueError(
            f"cannot hold out {validation} validation examples of {len(train)} training examples of {data.name}. "
            f"Allowed: 1 to {len(train) - 1}; the usual number here is {default_validation(data)}"
        )
    permutation = torch.randperm(len(train), generator=seeded_generator("validation_split", seed))
    kept = permutation[held:][:train_examples].sort().values
    parts = {name: part for name, part in data.parts.items() if own or name != "validation"}
    if not own:
        parts["validation"] = chosen(train, permutation[:held].sort().values)
    if len(kept) < len(train):
        parts["train"] = chosen(train, kept)
    return parts


def chosen(examples: Examples, indices: torch.Tensor) -> Examples:
    """Return the examples at these positions."""
    return examples.subset(indices) if isinstance(examples, Arrays) else Subset(examples, indices)
