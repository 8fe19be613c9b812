"""Weights that accelerate keeps outside of the network between uses: in memory or on disk."""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import Tensor, nn


def offloaded_parameter(module: nn.Module, name: str) -> Tensor:
    """Return a parameter of a module; where accelerate keeps it elsewhere, its value from there."""
    weights = _weights_map(module, name)
    value: Tensor = getattr(module, name) if weights is None else weights[name]
    return value


def override_of(module: nn.Module, name: str) -> AbstractContextManager[Tensor] | None:
    """Return a context that gives a copy of an offloaded parameter, in its place until the end; None if it is not."""
    weights = _weights_map(module, name)
    return None if weights is None else _overridden(weights, name)


def _weights_map(module: nn.Module, name: str) -> Mapping[str, Tensor] | None:
    hook: Any = getattr(module, "_hf_hook", None)
    for each in getattr(hook, "hooks", (hook,)):
        if getattr(each, "offload", False) and name in each.weights_map:
            return each.weights_map  # type: ignore[no-any-return]
    return None


@contextmanager
def _overridden(weights: Mapping[str, Tensor], name: str) -> Iterator[Tensor]:
    copy = weights[name].clone()
    while hasattr(weights, "dataset"):  # a view by prefix of the map of the whole network
        name, weights = f"{weights.prefix}{name}", weights.dataset  # type: ignore[attr-defined]
    values = getattr(weights, "state_dict", weights)  # what goes before the files
    assert isinstance(values, MutableMapping)
    before = values.get(name)
    values[name] = copy
    try:
        yield copy
    finally:
        if before is None:
            del values[name]
        else:
            values[name] = before
