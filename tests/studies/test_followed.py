"""Super weights followed through a search: planted and natural, against direct computations."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE

import lth
from lth.data import split
from lth.launch.load import load_studies
from lth.lineage import Reader, Store
from lth.models import Gpt2
from lth.report import figures, read_study
from lth.report.page import render
from lth.studies import STUDIES, settings_of
from lth.studies.carriers import CANDIDATE, TOP, Carrier, events
from lth.studies.followed import DENSE, ORIGIN, STILL, followed_tables
from lth.superweights import Coordinate
from lth.superweights.find import find

MODEL = "gpt-char:n_embd=16,n_layer=2,n_head=2"
PLANTED = [*(f"h.1.mlp.c_fc:7,{place}*30" for place in range(16)), "1,5,7*600"]
SMALL: dict[str, Any] = {
    "levels": 5, "replicates": 2, "duration": "12it", "evaluate_every": 12, "batch_size": 4, "lr": 1e-3, "rate": 0.2,
    "scope": "global", "prune_only": ("*mlp*",), "controls": (), "progress": False, "execution": HERE,
    "super_weights": True, "optimizer": "adamw", "validation": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("text") / "short.txt"
    path.write_text("the wood has eyes and the field has ears so i will see and hear and say no word " * 60)
    return f"{path}:block=16"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("followed") / "store"


@pytest.fixture(scope="module")
def planted(text: str, store: Path) -> lth.Found:
    return lth.find_ticket(MODEL, text, store=store, out=store.parent / "planted", scale_weights=PLANTED, **SMALL)


@pytest.fixture(scope="module")
def natural(text: str, store: Path) -> lth.Found:
    return lth.find_ticket(MODEL, text, store=store, out=store.parent / "natural", **SMALL | {"replicates": 1})


def rows_of(found: lth.Found) -> list[dict[str, Any]]:
    return found.details["tables"]["super_weights"]


def rates_of(found: lth.Found, since: str, kind: str) -> list[dict[str, Any]]:
    table = found.details["tables"]["super_weights_survival"]
    return [row for row in table if (row["strongest"], row["weights"]) == (since, kind)]


def test_a_planted_weight_is_tracked_through_five_rounds(planted: lth.Found) -> None:
    """It is the largest of all, so that magnitude keeps it, and carries the spike in every network."""
    own = [row for row in rows_of(planted) if row["weight"] == "1,5,7"]
    for replicate in (0, 1):
        mine = [row for row in own if row["replicate"] == replicate]
        assert [row["network"] for row in mine] == ["origin", *(f"level {level}" for level in range(6))]
        assert [row["event"] for row in mine] == ["found", *["kept"] * 6]
        assert all(row["kind"] == CANDIDATE for row in mine)
        assert all(row["share"] > 0.5 for row in mine)
        assert [row["is_kept"] for row in mine] == [None, None, True, True, True, True, True]
    for since in (ORIGIN, DENSE):
        for kind in ("the weight", STILL):
            rates = rates_of(planted, since, kind)
            assert [row["density"] for row in rates] == pytest.approx([0.8**level for level in range(1, 6)], abs=1e-3)
            assert all(row["mean"] == 100 and row["low"] == pytest.approx(34.2, abs=0.1) for row in rates)
    [sentence] = [each for each in planted.verdict["sentences"] if "spike" in each]
    assert sentence.startswith("In 2 of 2 dense networks weights meet the limits of a search for super weights")
    assert "2 of 2 still carry the spike" in sentence


def test_one_that_is_pruned_first_carries_nothing_any_more(text: str, planted: lth.Found, store: Path) -> None:
    """On prompts of the user's, which the data's tokenizer reads."""
    out = store.parent / "first"
    settings = {
        **SMALL,
        "levels": 1,
        "replicates": 1,
        "scale_weights": PLANTED,
        "prune_first": "1,5,7",
        "prompts": "the wood;say no word",
    }
    found = lth.find_ticket(MODEL, text, store=store, out=out, **settings)
    dense = [row["key"] for row in planted.results["rows"] if row["arm"] == "dense"]
    assert [row["key"] for row in found.results["rows"] if row["arm"] == "dense"] == dense[:1]
    assert [row["weight"] for row in rows_of(found) if row["network"] == "origin"] == ["1,5,7"]
    last = [row for row in rows_of(found) if row["network"] == "level 1" and row["weight"] == "1,5,7"]
    assert [(row["is_kept"], row["event"] in ("moved", "gone")) for row in last] == [(False, True)]
    assert all(row["now"] != "1,5,7" for row in rows_of(found) if row["network"] == "level 1")
    assert [row["mean"] for kind in ("the weight", STILL) for row in rates_of(found, DENSE, kind)] == [0, 0]


def test_what_is_found_is_what_a_search_finds_in_the_stored_networks(
    planted: lth.Found, store: Path, text: str
) -> None:
    ticket = lth.read_ticket(next(path for path in planted.tickets if path.name.startswith("level-03-replicate-1")))
    data = lth.load_data(text)
    network = Gpt2(vocabulary=data.facts["vocabulary"], block=16, n_layer=2, n_head=2, n_embd=16, bias=False, pad_to=1)
    network.load_state_dict(ticket.trained_weights(store))
    held = split(data, 20)["validation"]
    windows = held.take(torch.arange(8), torch.device("cpu"))["x"].tolist()
    expected = {str(each.coordinate): each for each in find(network.eval(), windows).leading()}
    mine = [row for row in rows_of(planted) if (row["network"], row["replicate"]) == ("level 3", 1) and row["now"]]
    assert {row["now"] for row in mine} == set(expected)
    for row in mine:
        assert row["value"] == pytest.approx(expected[row["now"]].weight)
        assert row["over_channels"] == pytest.approx(expected[row["now"]].over_channels)
        block, output, channel = map(int, row["weight"].split(","))
        mask = ticket.masks[f"h.{block}.mlp.c_proj.weight"]
        assert row["is_kept"] == bool(mask[output, channel])
        assert row["of_matrix"] == pytest.approx(float(mask.float().mean()))
        layer = [each for name, each in ticket.masks.items() if name.startswith(f"h.{block}.")]
        assert row["of_layer"] == pytest.approx(sum(int(m.sum()) for m in layer) / sum(m.numel() for m in layer))
    y = held.take(torch.arange(8, 16), torch.device("cpu"))
    losses = []
    for factor in (1.0, 0.0):
        with torch.no_grad():
            network.h[1].mlp.c_proj.weight[5, 7] *= factor
            logits = network(y["x"])
        losses.append(float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), y["y"].flatten())))
    [row] = [row for row in mine if row["now"] == "1,5,7"]
    assert row["effect"] == pytest.approx(losses[1] - losses[0], abs=1e-5)
    assert row["effect_low"] < row["effect"] < row["effect_high"]


def test_without_candidates_the_top_weight_is_followed_and_called_that(natural: lth.Found) -> None:
    for network in ("origin", *(f"level {level}" for level in range(6))):
        carriers = [row for row in rows_of(natural) if row["network"] == network and row["now"] is not None]
        assert [row["kind"] for row in carriers] == [TOP]
    [sentence] = [each for each in natural.verdict["sentences"] if "spike" in each]
    assert "a natural top weight, is followed: with 32.8 % of all weights left" in sentence
    rates = rates_of(natural, ORIGIN, "its matrix")
    assert len(rates) == 5
    assert all(0 < row["mean"] < 100 for row in rates)


def test_following_trains_nothing_and_the_page_shows_it(natural: lth.Found, text: str, store: Path) -> None:
    study_type = STUDIES["find-ticket"]
    given = {**SMALL, "replicates": 1, "super_weights": False, "model": MODEL, "data": text}
    given = {name: value for name, value in given.items() if name not in ("progress", "execution")}
    [plain] = load_studies(study_type, [settings_of(study_type, given)])
    assert {job.key for job in plain.targets} == {row["key"] for row in natural.results["rows"]}
    assert followed_tables(Reader(Store(store), plain.sources), plain.points, natural.results | {"config": {}}) == {}
    study = read_study(natural.folder)
    assert {"super_weights", "super_weights_survival"} <= {figure.name for figure in figures(study)}
    page = render([study], [], "")
    assert "Followed spikes" in page
    assert "Watched weights" not in page
    assert all(row["weight"] in page for row in rows_of(natural))
    with (natural.folder / "super_weights.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows_of(natural))


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        (MODEL, {"prompts": "the Wood"}, "the character 'W' at position 4 is none of the 15 known"),
        (MODEL, {"prompts": ";"}, "prompt 1 is empty"),
        (MODEL, {"prompts": "the", "super_weights": False}, "prompts: --super-weights reads them"),
        (MODEL, {"pruned": "soft"}, "super_weights: pruned 'soft' trains on"),
        ("lenet-300-100", {"prune_only": ()}, "LeNet300100 has no MLP whose down-projection is known"),
    ],
)
def test_what_cannot_be_followed_is_said_first(
    model: str, settings: dict[str, Any], words: str, text: str, tmp_path: Path
) -> None:
    data = "digits" if model == "lenet-300-100" else text
    with pytest.raises(ValueError, match=words):
        lth.find_ticket(model, data, store=tmp_path / "store", out=tmp_path / "out", **SMALL | settings)
    assert not (tmp_path / "store").exists()


class TokenClassifier(torch.nn.Module):
    """A transformer whose logits are of classes, one set a text."""

    def __init__(self, vocabulary: int, block: int, num_classes: int) -> None:
        super().__init__()
        self.network = Gpt2(vocabulary=vocabulary, block=block, n_layer=1, n_head=2, n_embd=8, pad_to=1)
        self.output = torch.nn.Linear(vocabulary, num_classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.output(self.network(tokens).mean(1))  # type: ignore[no-any-return]


def test_a_classifier_of_tokens_cannot_be_followed(tmp_path: Path) -> None:
    tokens = torch.randint(0, 5, (30, 8)).numpy()
    data = {"x_train": tokens, "y_train": tokens[:, 0], "x_test": tokens, "y_test": tokens[:, 0]}
    with pytest.raises(ValueError, match="a language model is needed, .* found task 'classification'"):
        lth.find_ticket(
            TokenClassifier, data, store=tmp_path / "store", out=tmp_path / "out", **SMALL | {"validation": 5}
        )


def carrier(text: str, kind: str = CANDIDATE) -> Carrier:
    return Carrier(Coordinate.parse(text), kind, *[1.0] * 5, {"value": 0.0, "low": None, "high": None})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["0,1,2"], ["0,1,2"], [("kept", "0,1,2", "0,1,2")]),
        (["0,1,2"], ["0,5,3", "1,1,9"], [("moved", "0,1,2", "1,1,9"), ("born", None, "0,5,3")]),  # the same channel
        (["0,1,2"], ["1,4,2", "0,5,3"], [("moved", "0,1,2", "0,5,3"), ("born", None, "1,4,2")]),  # the same block
        (["0,1,2"], ["5,8,9"], [("gone", "0,1,2", None), ("born", None, "5,8,9")]),
        (["0,1,2", "1,0,0"], ["1,0,0"], [("gone", "0,1,2", None), ("kept", "1,0,0", "1,0,0")]),
        (["0,1,2"], ["0,1,2", "1,0,0"], [("kept", "0,1,2", "0,1,2"), ("born", None, "1,0,0")]),
        (["0,1,2"], ["t1,1,0"], [("gone", "0,1,2", None), ("born", None, "1,1,0")]),  # no candidate is left
        (["t1,0,0"], ["1,0,0"], [("kept", "1,0,0", "1,0,0")]),  # and the other way round
    ],
)
def test_events(before: list[str], after: list[str], expected: list[tuple[str, str | None, str | None]]) -> None:
    sides = [
        [carrier(each.removeprefix("t"), TOP if each[0] == "t" else CANDIDATE) for each in side]
        for side in (before, after)
    ]
    found = [(event, old and str(old.coordinate), new and str(new.coordinate)) for event, old, new in events(*sides)]
    assert found == expected
