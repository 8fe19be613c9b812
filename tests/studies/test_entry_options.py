"""Options of single weights in a search: pruned first, scaled at the start, transplanted; by name and by coordinate."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lth
from lth.lineage import Combined, Reader, Sources, Store, WeightsNode
from lth.models.gpt2 import Gpt2
from lth.sparsity import density
from lth.studies.entries import named_entry, with_names

SMALL: dict[str, Any] = {
    "levels": 2, "replicates": 1, "duration": "20it", "evaluate_every": 20, "rate": 0.4, "scope": "global",
    "prune_only": ("everything",), "controls": ("reinit",), "batch_size": 20, "progress": False,
    "execution": lth.Execution(workers=0),
}  # fmt: skip
ENTRY, NAME, PLACE = "output:3,20", "output.weight", (3, 20)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("options") / "store"


@pytest.fixture(scope="module")
def plain(store: Path) -> lth.Found:
    return lth.find_ticket(store=store, out=store.parent / "plain", **SMALL)


def search(store: Path, name: str, **settings: Any) -> lth.Found:
    return lth.find_ticket(store=store, out=store.parent / name, **SMALL | settings)


def tickets(found: lth.Found) -> list[Any]:
    return [lth.read_ticket(path) for path in found.tickets]


def keys(found: lth.Found, arm: str) -> list[str]:
    return [row["key"] for row in found.results["rows"] if row["arm"] == arm]


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(place)) for name in one for place in (one[name] != other[name]).nonzero().tolist()]


def test_weights_that_are_pruned_first_leave_others_in_their_place(plain: lth.Found, store: Path) -> None:
    kept = [name for name in ("output:3,20", "output:0,7", "hidden2:5,5") if _is_kept(tickets(plain)[-1].masks, name)]
    assert kept, "choose a weight that stays"
    found = search(store, "first", prune_first=";".join(kept))
    assert keys(found, "dense") == keys(plain, "dense")
    for mine, theirs in zip(tickets(found), tickets(plain), strict=True):
        assert not any(_is_kept(mine.masks, name) for name in kept)
        assert density(mine.masks) == density(theirs.masks)
    first, second = (each.masks for each in tickets(found))
    assert all(bool((second[name] <= first[name]).all()) for name in first)


def _is_kept(masks: dict[str, Tensor], entry: str) -> bool:
    name, _, place = entry.partition(":")
    return bool(masks[f"{name}.weight"][tuple(map(int, place.split(",")))])


def test_scaled_weights_are_scaled_in_every_draw(plain: lth.Found, store: Path) -> None:
    found = search(store, "scaled", scale_weights=f"{ENTRY}*300;hidden1:0,0*0;hidden1:0,1*300", levels=1)
    assert not {*keys(found, "dense"), *keys(found, "reinit")} & {*keys(plain, "dense"), *keys(plain, "reinit")}
    reader = Reader(Store(store), Sources())
    ticket, usual = tickets(found)[0], tickets(plain)[0]
    start, before = (reader.weights(each.trained.root) for each in (ticket, usual))
    places = [("hidden1.weight", (0, 0)), ("hidden1.weight", (0, 1)), (NAME, PLACE)]
    assert sorted(differing(_start_of_dense(reader, ticket), before)) == sorted(places)
    assert differing(start, before) == []  # the draw itself
    dense = _start_of_dense(reader, ticket)
    assert dense[NAME][PLACE] == 300 * before[NAME][PLACE]
    assert dense["hidden1.weight"][0, 0] == 0
    kept = ticket.starting_weights()[NAME]
    assert kept[PLACE] == dense[NAME][PLACE]  # by magnitude it stays
    [point] = [row for row in found.results["rows"] if row["arm"] == "reinit"]
    assert point["start_digest"] != next(r for r in plain.results["rows"] if r["arm"] == "reinit")["start_digest"]


def _start_of_dense(reader: Reader, ticket: Any) -> dict[str, Tensor]:
    """What the dense network of a ticket of level 1 started from."""
    return reader.weights(ticket.trained.masks.end.start)


def test_transplanted_weights_start_as_the_dense_network_ended(plain: lth.Found, store: Path) -> None:
    place = tuple(tickets(plain)[-1].masks[NAME].nonzero()[0].tolist())  # one that stays
    entry = f"output:{place[0]},{place[1]}"
    found = search(store, "transplanted", transplant=entry)
    assert keys(found, "dense") == keys(plain, "dense")
    assert keys(found, "reinit")[:1] == keys(plain, "reinit")[:1]  # of level 1: the mask is the same
    reader = Reader(Store(store), Sources())
    dense: WeightsNode = tickets(plain)[0].trained.masks.end
    for mine in tickets(found):
        start = mine.trained.start
        assert isinstance(start, Combined)
        assert _is_kept(mine.masks, entry)
        drawn, weights = reader.weights(mine.trained.root), mine.starting_weights()
        assert weights[NAME][place] == reader.weights(dense)[NAME][place] != drawn[NAME][place]
        masked = {name: value * mine.masks[name] for name, value in drawn.items()}
        assert differing(weights, masked) == [(NAME, place)]


def test_without_options_keys_are_the_old_ones(plain: lth.Found, store: Path) -> None:
    same = search(store, "same", prune_first="none", scale_weights="none", transplant="none")
    assert [row["key"] for row in same.results["rows"]] == [row["key"] for row in plain.results["rows"]]
    assert same.id == plain.id


def test_a_coordinate_is_an_entry_of_a_down_projection() -> None:
    network: nn.Module = Gpt2(vocabulary=20, block=8, n_layer=2, n_head=2, n_embd=8)
    assert named_entry(network, "1,7,31") == "h.1.mlp.c_proj:7,31"
    assert named_entry(network, "1,7,31*0.5") == "h.1.mlp.c_proj:7,31*0.5"
    assert named_entry(network, "wte:3,2*2") == "wte:3,2*2"
    settings = lth.FindTicket(watch="1,7,31;wte:0,0", protect="0,1,2", scale_weights="1,7,31*300")
    named = with_names(settings, network)
    assert named.watch == ("h.1.mlp.c_proj:7,31", "wte:0,0")
    assert named.masks.protect == ("h.0.mlp.c_proj:1,2",)  # type: ignore[union-attr]
    assert named.scale_weights == ("h.1.mlp.c_proj:7,31*300",)
    assert with_names(named, network) is named


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2,0,0", r"\(2,0,0\) is no weight of this network: it has blocks 0 to 1"),
        ("1,8,0", r"\(1,8,0\) is no weight of this network: .* has 8 outputs and 32 inputs, counted from 0"),
        ("1,0,0,3", "it has blocks 0 to 1, none with experts"),
    ],
)
def test_a_coordinate_that_is_not_there_is_said(text: str, words: str) -> None:
    network: nn.Module = Gpt2(vocabulary=20, block=8, n_layer=2, n_head=2, n_embd=8)
    with pytest.raises(ValueError, match=words):
        named_entry(network, text)


def test_of_a_mixture_the_expert_is_the_last_number() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.is_transposed = False
            self.down_proj = nn.Parameter(torch.zeros(3, 4, 6))

    mixture = nn.ModuleDict({"layers": nn.ModuleList([nn.ModuleDict({"mlp": nn.ModuleDict({"experts": Experts()})})])})
    assert named_entry(mixture, "0,3,5,2") == "layers.0.mlp.experts.down_proj:2,3,5"
    with pytest.raises(ValueError, match="block 0 with 3 experts"):
        named_entry(mixture, "0,3,5")
