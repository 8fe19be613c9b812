"""Weights that accelerate keeps outside of the network between uses: in memory or on disk."""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


def offloaded_parameter(module: nn.Module, name: str) -> Tensor:
    """Return a parameter of a module; where accelerate keeps it elsewhere, its value from there."""
    weights = _weights_map(module, name)
    value: Tensor = getattr(module, name) if weights is None else weights[name]
    return value


@contextmanager
def held_in_memory(module: nn.Module, name: str) -> Iterator[Tensor]:
    """Give the tensor that the network uses as this parameter until the end: of one on disk a copy, read once."""
    weights: Any = _weights_map(module, name)
    if weights is None:
        yield getattr(module, name)
        return
    while hasattr(weights, "dataset"):  # a view by prefix of the map of the whole network
        name, weights = f"{weights.prefix}{name}", weights.dataset
    values = getattr(weights, "state_dict", weights)  # what goes before the files
    assert isinstance(values, MutableMapping)
    if name in values:
        yield values[name]
        return
    values[name] = weights[name].clone()
    try:
        yield values[name]
    finally:
        del values[name]


def _weights_map(module: nn.Module, name: str) -> Mapping[str, Tensor] | None:
    hook: Any = getattr(module, "_hf_hook", None)
    for each in getattr(hook, "hooks", (hook,)):
        if getattr(each, "offload", False) and name in each.weights_map:
            return each.weights_map  # type: ignore[no-any-return]
    return None
