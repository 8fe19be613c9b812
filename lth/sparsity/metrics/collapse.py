"""Layer collapse: a tensor without a single weight left cuts the network in two."""

import warnings
from collections.abc import Sequence

from lth.sparsity.types import Masks


def collapsed(masks: Masks) -> list[str]:
    """Return the names of the matrices and convolutions whose mask keeps nothing, in the order of the masks.

    Vectors are not looked at: a network does well without a bias. Where such a tensor is not bypassed by a skip
    connection, the network's output no longer depends on its input.

    Source: Tanaka et al. 2020, arXiv:2006.05467, Section 3.
    """
    return [name for name, mask in masks.items() if mask.ndim >= 2 and mask.numel() and not bool(mask.any())]


def warn_of_collapse(masks: Masks) -> None:
    """Issue one warning that names the tensors whose mask keeps nothing, if there are any."""
    if names := collapsed(masks):
        warnings.warn(describe_collapse(names), stacklevel=2)


def describe_collapse(names: Sequence[str]) -> str:
    """Return one line on collapsed tensors."""
    what = "this tensor keeps" if len(names) == 1 else "these tensors keep"
    return (
        f"layer collapse: {what} no weight, so no signal passes there: {', '.join(names)}. Prune less, layer by layer, "
        "or in more rounds"
    )
