"""Scopes: which weights are ranked together, and how much each such group gives up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lth.sparsity.patterns import owners
from lth.sparsity.types import Shapes


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters whose weights are ranked together, and the fraction of all of them to remove in total."""

    names: tuple[str, ...]
    sparsity: float


Scope = Callable[[Shapes, float, Mapping[str, float]], list[Group]]
"""(shapes, overall sparsity, sparsity by name pattern) -> groups."""


def global_scope(shapes: Shapes, sparsity: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """One group: all weights compete at one sparsity, by their raw scores (not normalised per tensor).

    Raises:
        ValueError: if patterns have a sparsity of their own, which one ranking cannot honour.
    """
    if by_pattern:
        raise ValueError(
            f"scope 'global' ranks all weights together, so {', '.join(map(repr, by_pattern))} cannot have a "
            f"rate of its "
            "own. Drop `rates`, or use scope 'per-pattern' or 'layerwise'"
        )
    return [Group(tuple(shapes), sparsity)]


def layerwise(shapes: Shapes, sparsity: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """One group per tensor, at the sparsity of the pattern that its name matches, else the overall one."""
    patterns = owners(shapes, by_pattern).items()
    return [Group((name,), sparsity if pattern is None else by_pattern[pattern]) for name, pattern in patterns]


def per_pattern(shapes: Shapes, sparsity: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """One group per pattern, at its sparsity; tensors that match none form one more group."""
    names_of: dict[str | None, list[str]] = {pattern: [] for pattern in (*by_pattern, None)}
    for name, pattern in owners(shapes, by_pattern).items():
        names_of[pattern].append(name)
    return [
        Group(tuple(names), sparsity if pattern is None else by_pattern[pattern])
        for pattern, names in names_of.items()
        if names
    ]


SCOPES: dict[str, Scope] = {"global": global_scope, "layerwise": layerwise, "per-pattern": per_pattern}
