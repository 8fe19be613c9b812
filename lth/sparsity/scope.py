"""Scopes: which weights are ranked together, and how much each such group gives up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from lth.sparsity.patterns import owners
from lth.sparsity.types import Shapes

LAST_LAYER_SPARSITY = 0.8
"""Most that `uniform-plus` takes from the last layer."""


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters whose weights are ranked together, and the fraction of all of them to remove in total."""

    names: tuple[str, ...]
    sparsity: float


Scope = Callable[[Shapes, float, Mapping[str, float]], list[Group]]
"""(shapes in the order of the network, overall sparsity, sparsity by name pattern) -> groups."""


def global_scope(shapes: Shapes, sparsity: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """One group: all weights compete at one sparsity, by their raw scores (not normalised per tensor).

    Raises:
        ValueError: if patterns have a sparsity of their own, which one ranking cannot honour.
    """
    _refuse_patterns("global", by_pattern)
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


def erk(shapes: Shapes, sparsity: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """One group per tensor by the Erdos-Renyi-Kernel rule: density proportional to sum(shape) / prod(shape).

    A tensor that the rule would fill beyond 1 stays whole, and the others share the rest. Counts are rounded by largest
    remainder, so that the whole network keeps exactly what is asked.

    Raises:
        ValueError: if patterns have a sparsity of their own.

    Source: Evci et al. 2020, arXiv:1911.11134, Section 3 (1), after Mocanu et al. 2018, arXiv:1707.04383.
    """
    _refuse_patterns("erk", by_pattern)
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    raw = {name: sum(shape) / sizes[name] for name, shape in shapes.items()}
    keep = (1 - sparsity) * sum(sizes.values())
    whole: set[str] = set()
    while True:
        rest = [name for name in shapes if name not in whole]
        weight = sum(raw[name] * sizes[name] for name in rest)
        factor = (keep - sum(sizes[name] for name in whole)) / weight if weight else 0.0
        full = {name for name in rest if factor * raw[name] > 1}
        if not full:
            break
        whole |= full
    wanted = [sizes[name] * (1.0 if name in whole else factor * raw[name]) for name in shapes]
    return _exact_groups(sizes, wanted)


def uniform_plus(shapes: Shapes, sparsity: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """One group per tensor: the first stays whole, the last gives up at most 80 %, all others the same share.

    Raises:
        ValueError: if patterns have a sparsity of their own, or the target lies beyond what these limits allow.

    Source: Gale et al. 2019, arXiv:1902.09574, Section 5.
    """
    _refuse_patterns("uniform-plus", by_pattern)
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    first, *middle = sizes
    last = middle.pop() if middle else None
    remove = sparsity * sum(sizes.values())
    others, of_last = sum(sizes[name] for name in middle), sizes[last] if last else 0
    share = remove / max(1, others + of_last)
    from_last = min(share, LAST_LAYER_SPARSITY) * of_last
    share = (remove - from_last) / max(1, others)
    if share > 1 or (not others and remove > from_last + 1e-9):
        most = (others + LAST_LAYER_SPARSITY * of_last) / sum(sizes.values())
        raise ValueError(
            f"scope 'uniform-plus' keeps {first} whole and at least 20 % of {last or first}, so it reaches sparsity "
            f"{most:.3f} at most; {sparsity:.3f} is asked. Use 'erk' or 'layerwise'"
        )
    given_up = {first: 0.0, **dict.fromkeys(middle, share)} | ({last: from_last / of_last} if last else {})
    return _exact_groups(sizes, [sizes[name] * (1 - given_up[name]) for name in shapes])


def _exact_groups(sizes: Mapping[str, int], wanted: Sequence[float]) -> list[Group]:
    """One group per tensor whose whole counts add up to the rounded sum of the wanted ones (largest remainder)."""
    total = int(sum(wanted) + 0.5 + 1e-9)
    counts = [min(int(count + 1e-9), size) for count, size in zip(wanted, sizes.values(), strict=True)]
    by_remainder = sorted(range(len(counts)), key=lambda index: (counts[index] - wanted[index], index))
    for index in by_remainder[: max(0, total - sum(counts))]:
        counts[index] += 1
    return [Group((name,), 1 - count / size) for (name, size), count in zip(sizes.items(), counts, strict=True)]


def _refuse_patterns(scope: str, by_pattern: Mapping[str, float]) -> None:
    if by_pattern:
        raise ValueError(
            f"scope {scope!r} shares out one budget itself, so {', '.join(map(repr, by_pattern))} cannot have a rate "
            "of its own. Drop `rates`, or use scope 'per-pattern' or 'layerwise'"
        )


SCOPES: dict[str, Scope] = {
    "global": global_scope,
    "layerwise": layerwise,
    "per-pattern": per_pattern,
    "erk": erk,
    "uniform-plus": uniform_plus,
}
