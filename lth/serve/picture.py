"""A derivation as a picture whose nodes are links: a result, below it what it comes from, above what stands on it."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lth.serve.derivation import Derivation, Step
from lth.serve.layout import layered

SIZE = (212.0, 84.0)
GAP = (22.0, 46.0)
MARGIN = 24.0
MOST_USERS = 6
MOST_NODES = 160
LINE = 33
"""Letters on a line of a node."""

LINES = 3


@dataclass(frozen=True, slots=True)
class Box:
    """One node as it is drawn, with the classes that colour it; `more` counts inputs that are not in the picture."""

    key: str
    kind: str
    lines: list[str]
    words: str
    classes: str
    address: str
    x: float
    y: float
    more: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes and edges (a path, what the edge is, whether it touches the result itself)."""

    boxes: list[Box]
    edges: list[tuple[str, str, bool]]
    width: float
    height: float
    hidden: int


def picture(
    derivation: Derivation, key: str, depth: int | None, state: Callable[[Step], str], address: Callable[[str], str]
) -> Picture:
    """Return the picture around one result.

    Args:
        derivation: where it is from.
        key: the result.
        depth: how many steps back are shown; None shows all, up to MOST_NODES.
        state: of a node, as a class (see `state_of`).
        address: of a node's own picture.
    """
    shown = _near(derivation, key, depth)
    inputs = _without_cycles(derivation, shown)
    places = layered(inputs, SIZE, GAP)
    boxes = []
    for each in inputs:
        step, (x, y) = derivation.steps[each], places.nodes[each]
        y = places.height - y  # a layout begins with what is derived from nothing; here that stands last
        more = len({source for _, source in step.inputs} - shown)
        classes = f"node {state(step)} {step.role}" + (" self" if each == key else "")
        lines = _lines(step.words)
        boxes.append(Box(each, step.kind, lines, step.words, classes, address(each), x, y, more))
    edges = [
        (_path([(x, places.height - y) for x, y in way]), _named(derivation, *edge), key in edge)
        for edge, way in sorted(places.edges.items(), key=_last(key))
    ]
    hidden = len(derivation.behind(key) - shown)
    return Picture(boxes, edges, places.width + 2 * MARGIN, places.height + 2 * MARGIN, hidden)


def _last(key: str) -> Callable[[tuple[tuple[str, str], object]], bool]:
    """Return what sorts the edges of a node behind the others: they are drawn on top."""
    return lambda edge: key in edge[0]


def _near(derivation: Derivation, key: str, depth: int | None) -> set[str]:
    """Return a result, what is at most so many steps before it, and the first few that stand on it."""
    shown, edge = {key}, [key]
    steps = 0
    while edge and (depth is None or steps < depth) and len(shown) < MOST_NODES:
        new = dict.fromkeys(source for each in edge for _, source in derivation.steps[each].inputs)
        edge = [source for source in new if source not in shown and source in derivation.steps]
        edge = edge[: MOST_NODES - len(shown)]
        shown.update(edge)
        steps += 1
    return shown | set(derivation.users(key)[:MOST_USERS])


def _without_cycles(derivation: Derivation, shown: set[str]) -> dict[str, list[str]]:
    """Return the inputs of the nodes that are shown, inputs first; an edge that closes a circle is left out."""
    order: dict[str, list[str]] = {}
    for start in (key for key in derivation.steps if key in shown):
        stack, open_ = [start], {start}
        while stack:
            key = stack[-1]
            sources = [source for _, source in derivation.steps[key].inputs if source in shown]
            new = next((each for each in sources if each not in order and each not in open_), None)
            if new is not None:
                stack.append(new)
                open_.add(new)
                continue
            stack.pop()
            open_.discard(key)
            order.setdefault(key, [each for each in dict.fromkeys(sources) if each in order])
    return order


def _lines(words: str) -> list[str]:
    lines = textwrap.wrap(words, LINE, break_long_words=True)
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], f"{lines[LINES - 1][: LINE - 1].rstrip()}…"]


def _named(derivation: Derivation, source: str, target: str) -> str:
    names = [name for name, key in derivation.steps[target].inputs if key == source]
    return f"{' and '.join(dict.fromkeys(names))} of {derivation.steps[target].kind} {target[:8]}"


def _path(way: Sequence[tuple[float, float]]) -> str:
    """Return a curve from the upper side of a node through points to the lower side of another."""
    half = -SIZE[1] / 2
    (x, y), *points, (end_x, end_y) = way
    path, y = f"M{x:.1f} {y + half:.1f}", y + half
    for next_x, next_y in points:
        path += f"{_curve(x, y, next_x, next_y - half)}V{next_y + half:.1f}"
        x, y = next_x, next_y + half
    return path + _curve(x, y, end_x, end_y - half)


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    middle = (y + to_y) / 2
    return f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"


def state_of(step: Step, is_done: bool, begun: Mapping[str, int], working: Mapping[str, str]) -> str:
    """Return how far a node is, as a class: done, working, begun, waiting; a value waits for nothing."""
    if is_done:
        return "done"
    if working.get(step.key):
        return "working"
    if step.key in begun:
        return "begun"
    return "waiting" if step.role in ("job", "masks") else "plain"
