"""Places for the nodes of a graph without cycles: in layers from what is derived from nothing down, few crossings.

As Sugiyama, Tagawa and Toda (1981) have it: layers by the longest way, a point on each layer that an edge passes, the
order within a layer by the mean place of neighbours, and then places as near to the neighbours' as distances allow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 8

Point = tuple[str, str]
"""A node (its key, ''), or where edges from a node pass another layer (its key, the layer as text)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The centre of each node and, by edge (from, to), the points that it passes, ends included."""

    nodes: dict[str, tuple[float, float]]
    edges: dict[tuple[str, str], list[tuple[float, float]]]
    width: float
    height: float


def layered(inputs: Mapping[str, Sequence[str]], size: tuple[float, float], gap: tuple[float, float]) -> Layout:
    """Return places for nodes, each below all that it is derived from.

    Args:
        inputs: of each node, those among the nodes that it is derived from; no cycles.
        size: width and height of a node.
        gap: between nodes side by side, and between layers.
    """
    layer = _layers(inputs)
    rows, ways = _with_points(inputs, layer)
    neighbours: dict[Point, list[Point]] = {}
    for way in ways.values():
        for upper, lower in pairwise(way):
            neighbours.setdefault(upper, []).append(lower)
            neighbours.setdefault(lower, []).append(upper)
    _order(rows, neighbours)
    x = _across(rows, neighbours, size[0], gap[0])
    left = min((x[point] for point in x), default=0.0) - size[0] / 2
    y = {point: depth * (size[1] + gap[1]) + size[1] / 2 for depth, row in enumerate(rows) for point in row}
    at = {point: (x[point] - left, y[point]) for point in x}
    right = max((place[0] for place in at.values()), default=0.0) + size[0] / 2
    height = len(rows) * (size[1] + gap[1]) - gap[1] if rows else 0.0
    nodes = {key: at[key, ""] for key in inputs}
    return Layout(nodes, {edge: [at[point] for point in way] for edge, way in ways.items()}, right, height)


def _layers(inputs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return each node's layer: one below the lowest of its inputs; what has none stands right above its first use."""
    layer: dict[str, int] = {}
    waiting = list(inputs)
    while waiting:
        missing = [each for each in inputs[waiting[-1]] if each not in layer]
        if missing:
            waiting += missing
        else:
            key = waiting.pop()
            layer[key] = 1 + max((layer[each] for each in inputs[key]), default=-1)
    for key, its in inputs.items():
        uses = [layer[user] for user, theirs in inputs.items() if key in theirs] if not its else []
        if uses:
            layer[key] = min(uses) - 1
    return layer


def _with_points(
    inputs: Mapping[str, Sequence[str]], layer: Mapping[str, int]
) -> tuple[list[list[Point]], dict[tuple[str, str], list[Point]]]:
    """Return the layers with points where long edges pass (a node's share theirs), and the way of each edge."""
    rows: list[list[Point]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    ways: dict[tuple[str, str], list[Point]] = {}
    for key, its in inputs.items():
        rows[layer[key]].append((key, ""))
        for source in dict.fromkeys(its):
            passed = [(source, str(depth)) for depth in range(layer[source] + 1, layer[key])]
            ways[source, key] = [(source, ""), *passed, (key, "")]
            for point in passed:
                if point not in rows[int(point[1])]:
                    rows[int(point[1])].append(point)
    return rows, ways


def _order(rows: list[list[Point]], near: Mapping[Point, list[Point]]) -> None:
    """Sort each layer by the mean place of its neighbours in the layer before, downwards and upwards in turn."""
    for sweep in range(SWEEPS):
        is_down = sweep % 2 == 0
        for depth in range(1, len(rows)) if is_down else range(len(rows) - 2, -1, -1):
            fixed = {point: place for place, point in enumerate(rows[depth - 1 if is_down else depth + 1])}
            before = {point: place for place, point in enumerate(rows[depth])}

            def wanted(point: Point, fixed: dict[Point, int] = fixed, before: dict[Point, int] = before) -> float:
                places = [fixed[each] for each in near.get(point, ()) if each in fixed]
                return sum(places) / len(places) if places else before[point]

            rows[depth].sort(key=wanted)


def _across(
    rows: list[list[Point]], neighbours: Mapping[Point, list[Point]], width: float, gap: float
) -> dict[Point, float]:
    """Return the place of each point across its layer: near its neighbours', apart as far as widths ask."""
    x = {point: place * (width + gap) for row in rows for place, point in enumerate(row)}
    for sweep in range(2 * SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [
                sum(x[each] for each in near) / len(near) if (near := neighbours.get(point, [])) else x[point]
                for point in row
            ]
            widths = [gap / 2 if point[1] else width for point in row]
            apart = [0.0]
            for one, other in pairwise(widths):
                apart.append(apart[-1] + (one + other) / 2 + gap)
            placed = _rising([want - least for want, least in zip(wanted, apart, strict=True)])
            x |= {point: place + least for point, place, least in zip(row, placed, apart, strict=True)}
    return x


def _rising(values: Sequence[float]) -> list[float]:
    """Return the nearest values, by squares, of which none is below the one before: neighbours are pooled."""
    pools: list[tuple[float, int]] = []
    for value in values:
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (last, many), (first, more) = pools.pop(), pools.pop()
            pools.append(((last * many + first * more) / (many + more), many + more))
    return [mean for mean, count in pools for _ in range(count)]
