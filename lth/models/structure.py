"""Digests of modules: what they are made of, and how they are drawn."""

import hashlib
import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn


def structure_digest(module: nn.Module) -> str:
    """Return 16 hex digits that change with a module's layers, or its tensors' names, shapes, types, or ties.

    They are the same in every process, on every device, and hold no values.
    """
    lines = [
        f"{path}: {type(layer).__qualname__}({_lasting(layer.extra_repr())})"
        for path, layer in module.named_modules(remove_duplicate=False)
    ]
    first: dict[int, str] = {}
    for name, value in named_tensors(module):
        trains = "trains" if value.requires_grad else "frozen"
        lines.append(f"{name}: {tuple(value.shape)} {value.dtype} {trains} {first.setdefault(id(value), name)}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def draw_digest(module: nn.Module) -> str:
    """Return 16 hex digits that change with the values of a module's tensors."""
    content = hashlib.sha256()
    for _, value in named_tensors(module):
        content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()[:16]


def named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Give all parameters and buffers, tied ones under each of their names."""
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _lasting(text: str) -> str:
    """Return a representation without what changes between processes: addresses, and the order within sets."""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    return re.sub(r"\{([^{}]*)\}", lambda match: "{" + ", ".join(sorted(match[1].split(", "))) + "}", text)
