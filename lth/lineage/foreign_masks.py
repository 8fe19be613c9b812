"""Masks from a file of the user's: a ticket, or a safetensors file of masks by parameter name."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from lth.lineage.files import weights_from_file
from lth.sparsity import Masks


def masks_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error


def read_masks_file(path: Path, module: nn.Module, digest: str = "", left_out: Sequence[str] = ()) -> Masks:
    """Return the masks in a file, checked against a network.

    Args:
        path: a ticket, or a safetensors file with a mask by the name of each parameter: True (or 1) keeps.
        module: the network that they are for.
        digest: of the file, where it must be this one.
        left_out: tensors whose masks are not taken.
    Raises:
        ValueError: if the file is another, cannot be read, or its masks do not fit the network.
    """
    if digest and masks_digest(path) != digest:
        raise ValueError(f"{path} has changed since the study began: put the file back, or start a new study")
    from lth.lineage.ticket import read_ticket  # it knows the kinds of nodes, of which one reads masks here

    tensors = weights_from_file(path)
    if any(name.startswith("mask/") for name in tensors):
        masks = read_ticket(path).masks
    else:
        masks = {name: value.bool() for name, value in tensors.items()}
        if wrong := [name for name, value in tensors.items() if not torch.equal(value, masks[name].to(value.dtype))]:
            raise ValueError(f"{path}: {wrong[0]!r} is no mask: it holds other values than 0 and 1")
    shapes = {name: parameter.shape for name, parameter in module.named_parameters()}
    masks = {name: mask for name, mask in masks.items() if name not in left_out}
    for name, mask in masks.items():
        if name not in shapes:
            raise ValueError(f"{path}: the model has no parameter {name!r}. Its parameters: {', '.join(shapes)}")
        if mask.shape != shapes[name]:
            raise ValueError(f"{path}: the mask of {name!r} is {list(mask.shape)}, its weights {list(shapes[name])}")
    return masks
