"""Looking into a module while it runs, and leaving it as it was."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

Hook = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]
"""(layer, positional inputs, keyword inputs, output) -> None."""


@contextmanager
def watched(module: nn.Module, hooks: Mapping[str, Hook]) -> Iterator[None]:
    """Calls a hook after each run of the named layers, in evaluation mode and without gradients."""
    layers, modes = dict(module.named_modules()), [(layer, layer.training) for layer in module.modules()]
    handles = []
    try:
        for name, hook in hooks.items():
            handles.append(layers[name].register_forward_hook(hook, with_kwargs=True))
        module.eval()
        with torch.no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()
        for layer, mode in modes:
            layer.training = mode
