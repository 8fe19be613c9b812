"""Scopes: which weights are ranked together, and how much of each such group is kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from lth.sparsity.patterns import owners
from lth.sparsity.types import Shapes
from lth.sparsity.words import first_paragraph

if TYPE_CHECKING:
    from lth.sparsity.evidence import Evidence

LAST_LAYER_DENSITY = 0.2
"""Least that `uniform-plus` keeps of the last layer."""


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters whose weights are ranked together, and the fraction of all of them to keep."""

    names: tuple[str, ...]
    density: float


Scope = Callable[[Shapes, float, Mapping[str, float]], list[Group]]
"""(shapes in the order of the network, overall density, density by name pattern) -> groups."""


@dataclass(frozen=True, slots=True)
class EvidenceScope:
    """A scope that looks at weights, masks and activations too.

    Attributes:
        name: as in SCOPES.
        groups: (shapes, density, density by pattern, evidence) -> groups, in all exactly what is asked.
        words: what it does; by default the first paragraph of the docstring of `groups`.
    """

    name: str
    groups: "Callable[[Shapes, float, Mapping[str, float], Evidence], list[Group]]"
    words: str = ""

    def __post_init__(self) -> None:
        if not self.words:
            object.__setattr__(self, "words", first_paragraph(self.groups))

    def __call__(self, shapes: Shapes, density: float, by_pattern: Mapping[str, float]) -> list[Group]:
        """Refuse shapes alone.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"scope {self.name!r} looks at weights and activations, so it goes with pruning single weights after "
            "training: use another scope here, such as 'layerwise' or 'erk'"
        )


def with_evidence(scope: Scope, evidence: "Evidence") -> Scope:
    """Return a scope that needs shapes only; one that looks at evidence looks at this, once for each density."""
    if not isinstance(scope, EvidenceScope):
        return scope
    known: dict[tuple[float, tuple[str, ...]], list[Group]] = {}

    def groups(shapes: Shapes, density: float, by_pattern: Mapping[str, float]) -> list[Group]:
        place = (density, tuple(shapes))
        if place not in known:
            known[place] = scope.groups(shapes, density, by_pattern, evidence)
        return known[place]

    return groups


def without_evidence(scope: Scope) -> Scope:
    """Return a scope for plans: where the shares need evidence, one group that keeps as much in all."""
    return global_scope if isinstance(scope, EvidenceScope) else scope


def global_scope(shapes: Shapes, density: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """Rank all weights together, by their raw scores (not normalised per tensor).

    Raises:
        ValueError: if patterns have a density of their own, which one ranking cannot honour.
    """
    refuse_patterns("global", by_pattern)
    return [Group(tuple(shapes), density)]


def layerwise(shapes: Shapes, density: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """Rank each tensor by itself, at the density of the pattern that its name matches, else the overall one."""
    patterns = owners(shapes, by_pattern).items()
    return [Group((name,), density if pattern is None else by_pattern[pattern]) for name, pattern in patterns]


def per_pattern(shapes: Shapes, density: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """Rank the tensors of each pattern together, at its density; those that match none form one more group."""
    names_of: dict[str | None, list[str]] = {pattern: [] for pattern in (*by_pattern, None)}
    for name, pattern in owners(shapes, by_pattern).items():
        names_of[pattern].append(name)
    return [
        Group(tuple(names), density if pattern is None else by_pattern[pattern])
        for pattern, names in names_of.items()
        if names
    ]


def erk(shapes: Shapes, density: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """Keep of each tensor a share by the Erdos-Renyi-Kernel rule: density proportional to sum(shape) / prod(shape).

    A tensor that the rule would fill beyond 1 stays dense, and the others share the rest. Counts are rounded by largest
    remainder, so that the network keeps exactly what is asked.

    Raises:
        ValueError: if patterns have a density of their own.

    Source: Evci et al. 2020, arXiv:1911.11134, Section 3 (1), after Mocanu et al. 2018, arXiv:1707.04383.
    """
    refuse_patterns("erk", by_pattern)
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    raw = {name: sum(shape) / sizes[name] for name, shape in shapes.items()}
    num_kept = density * sum(sizes.values())
    dense: set[str] = set()
    while True:
        rest = [name for name in shapes if name not in dense]
        weight = sum(raw[name] * sizes[name] for name in rest)
        factor = (num_kept - sum(sizes[name] for name in dense)) / weight if weight else 0.0
        full = {name for name in rest if factor * raw[name] > 1}
        if not full:
            break
        dense |= full
    wanted = [sizes[name] * (1.0 if name in dense else factor * raw[name]) for name in shapes]
    return exact_groups(sizes, wanted)


def uniform_plus(shapes: Shapes, density: float, by_pattern: Mapping[str, float]) -> list[Group]:
    """Keep the first tensor dense, at least 20 % of the last, and the same share of all others.

    Raises:
        ValueError: if patterns have a density of their own, or these limits do not allow the density.

    Source: Gale et al. 2019, arXiv:1902.09574, Section 5.
    """
    refuse_patterns("uniform-plus", by_pattern)
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    first, *middle = sizes
    last = middle.pop() if middle else None
    rest = density * sum(sizes.values()) - sizes[first]  # what all but the first keep together
    in_middle, in_last = sum(sizes[name] for name in middle), sizes[last] if last else 0
    kept_of_last = max(rest / max(1, in_middle + in_last), LAST_LAYER_DENSITY) * in_last
    share = (rest - kept_of_last) / max(1, in_middle)
    if share < -1e-9 or (not middle and rest < kept_of_last - 1e-9):
        least = (sizes[first] + LAST_LAYER_DENSITY * in_last) / sum(sizes.values())
        raise ValueError(
            f"scope 'uniform-plus' keeps {first} dense and at least 20 % of {last or first}, so it keeps density "
            f"{least:.3f} at least; {density:.3f} is asked. Use 'erk' or 'layerwise'"
        )
    kept = {first: float(sizes[first]), **{name: sizes[name] * max(share, 0.0) for name in middle}}
    return exact_groups(sizes, [*kept.values(), *([kept_of_last] if last else [])])


def exact_groups(sizes: Mapping[str, int], wanted: Sequence[float]) -> list[Group]:
    """Return one group per tensor; integer counts add up to the rounded sum of the wanted ones (largest remainder)."""
    total = int(sum(wanted) + 0.5 + 1e-9)
    counts = [min(int(count + 1e-9), size) for count, size in zip(wanted, sizes.values(), strict=True)]
    by_remainder = sorted(range(len(counts)), key=lambda index: (counts[index] - wanted[index], index))
    for index in by_remainder[: max(0, total - sum(counts))]:
        counts[index] += 1
    return [Group((name,), count / size) for (name, size), count in zip(sizes.items(), counts, strict=True)]


def refuse_patterns(scope: str, by_pattern: Mapping[str, float]) -> None:
    """Refuse densities by pattern.

    Raises:
        ValueError: if there are some.
    """
    if by_pattern:
        raise ValueError(
            f"scope {scope!r} shares out one budget itself, so {', '.join(map(repr, by_pattern))} cannot have a rate "
            "of its own. Drop `rates`, or use scope 'per-pattern' or 'layerwise'"
        )
