"""Places of a derivation's nodes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lth.serve.layout import layered

SIZE, GAP = (100.0, 40.0), (10.0, 30.0)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    number = draw(st.integers(1, 25))
    return {
        str(node): [str(source) for source in draw(st.sets(st.integers(0, node - 1), max_size=4))] if node else []
        for node in range(number)
    }


@given(graphs())
def test_nodes_are_below_their_inputs_and_apart(inputs: dict[str, list[str]]) -> None:
    placed = layered(inputs, SIZE, GAP)
    for node, sources in inputs.items():
        for source in sources:
            assert placed.nodes[node][1] >= placed.nodes[source][1] + SIZE[1] + GAP[1] - 1e-9
            way = placed.edges[source, node]
            assert (way[0], way[-1]) == (placed.nodes[source], placed.nodes[node])
            assert [y for _, y in way] == sorted({y for _, y in way})  # a point on each layer between
    rows: dict[float, list[float]] = {}
    for x, y in placed.nodes.values():
        assert SIZE[0] / 2 - 1e-6 <= x <= placed.width - SIZE[0] / 2 + 1e-6
        assert SIZE[1] / 2 <= y <= placed.height - SIZE[1] / 2 + 1e-6
        rows.setdefault(y, []).append(x)
    for row in map(sorted, rows.values()):
        assert all(right - left >= SIZE[0] + GAP[0] - 1e-6 for left, right in pairwise(row))


def test_a_chain_stands_in_one_line() -> None:
    placed = layered({"a": [], "b": ["a"], "c": ["b"]}, SIZE, GAP)
    assert placed.nodes == {"a": (50.0, 20.0), "b": (50.0, 90.0), "c": (50.0, 160.0)}
    assert (placed.width, placed.height) == (100.0, 180.0)


def test_a_source_stands_above_its_first_use_alone() -> None:
    placed = layered({"a": [], "b": ["a"], "late": [], "c": ["b", "late"]}, SIZE, GAP)
    assert placed.nodes["late"][1] == placed.nodes["b"][1]
    assert placed.edges["late", "c"] == [placed.nodes["late"], placed.nodes["c"]]
