"""Watched weights, start masks and protected weights in a search for tickets: each against a direct computation."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import lth
from lth.lineage import Given, Reader, Sources, Store
from lth.report import figures, read_study
from lth.report.page import render
from lth.sparsity import density

SMALL: dict[str, Any] = {
    "levels": 2, "replicates": 2, "duration": "30it", "evaluate_every": 10, "rate": 0.5, "scope": "global",
    "prune_only": ("everything",), "controls": ("random",), "batch_size": 20, "progress": False,
    "execution": lth.Execution(workers=0),
}  # fmt: skip
WATCH = "hidden1:3,20;hidden2.bias:7"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watched") / "store"


@pytest.fixture(scope="module")
def watched(store: Path) -> lth.Found:
    return lth.find_ticket(store=store, out=store.parent / "out", watch=WATCH, **SMALL)


def test_watching_trains_nothing_again(watched: lth.Found, store: Path) -> None:
    before = {path.name for path in store.rglob("metrics.json")}
    plain = lth.find_ticket(store=store, out=store.parent / "plain", **SMALL)
    assert {row["key"] for row in plain.results["rows"]} == {row["key"] for row in watched.results["rows"]}
    assert "watched" not in plain.details["tables"]
    assert {path.name for path in store.rglob("metrics.json")} == before


def test_values_ranks_and_base_rates_are_those_of_the_networks(watched: lth.Found, store: Path) -> None:
    table = watched.details["tables"]["watched"]
    assert len(table) == 2 * 3 * 2
    files = {(path.stem.split(".")[0]): lth.read_ticket(path) for path in watched.tickets}
    for row in table:
        if row["weight"] != "hidden1:3,20":
            continue
        level, replicate = int(row["level"]), row["replicate"]
        now, new = (files.get(f"level-{each:02d}-replicate-{replicate}") for each in (level, level + 1))
        assert row["was_kept"] == (now is None or bool(now.masks["hidden1.weight"][3, 20]))
        assert (row["is_kept"] is None) == (new is None)
        if now is not None:
            end = now.trained_weights(store)["hidden1.weight"]
            assert row["end"] == pytest.approx(float(end[3, 20]))
            assert row["rank"] == 1 + int((end.abs() > end[3, 20].abs()).sum())
            assert row["start"] == pytest.approx(float(now.starting_weights()["hidden1.weight"][3, 20]))
        if new is not None:
            masks = new.masks
            assert row["of_matrix"] == pytest.approx(float(masks["hidden1.weight"].float().mean()))
            layer = [masks["hidden1.weight"], masks["hidden1.bias"]]
            assert row["of_layer"] == pytest.approx(sum(int(m.sum()) for m in layer) / sum(m.numel() for m in layer))
            assert row["of_all"] == pytest.approx(density(masks)) == pytest.approx(row["new_density"], abs=1e-4)
            assert 0 <= row["of_tenth"] <= 1
            assert row["is_kept"] == bool(masks["hidden1.weight"][3, 20])


def test_rates_have_intervals_and_the_page_shows_them(watched: lth.Found) -> None:
    rates = watched.details["tables"]["watched_survival"]
    assert len(rates) == 2 * 2 * 5
    assert {row["weights"] for row in rates} >= {"the weight", "its matrix", "its layer", "all prunable weights"}
    assert all(0 <= row["mean"] <= 100 and len(row["values"]) == 2 for row in rates)
    study = read_study(watched.folder)
    names = [figure.name for figure in figures(study)]
    assert names[0] == "summary"
    assert {"watched_values", "watched_survival", "magnitudes"} <= set(names)
    page = render([study], [], "")
    assert page.count("hidden1:3,20") >= 6
    boxes = study.details["boxes"]
    assert {box["layer"] for box in boxes} >= {"hidden1.weight", "output.bias"}
    assert all(box["end"] == sorted(box["end"]) for box in boxes)


def test_csv_files_hold_every_curve_and_every_tensor(watched: lth.Found) -> None:
    def rows(name: str) -> list[dict[str, str]]:
        with (watched.folder / name).open() as file:
            return list(csv.DictReader(file))

    curves, survival = rows("curves.csv"), rows("survival.csv")
    assert len(curves) == 2 * (1 + 2 + 2) * 4  # replicates x networks x evaluations
    assert {"arm", "replicate", "level", "density", "step", "validation/loss", "train/loss"} <= curves[0].keys()
    mean = next(each for each in watched.details["curves"] if each["arm"] == "ticket" and each["at"]["level"] == 2)
    mine = [
        float(row["validation/loss"])
        for row in curves
        if (row["arm"], row["level"], row["step"]) == ("ticket", "2", "30")
    ]
    assert sum(mine) / 2 == pytest.approx(mean["values"]["validation/loss"][-1])
    kept = sum(
        int(row["kept"]) for row in survival if (row["arm"], row["level"], row["replicate"]) == ("ticket", "2", "0")
    )
    total = sum(mask.numel() for mask in lth.read_ticket(watched.tickets[0]).masks.values())
    assert kept == int(0.25 * total + 0.5)
    assert len(rows("watched.csv")) == len(watched.details["tables"]["watched"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"watch": "hidden9:0,0"}, "the model has no parameter 'hidden9'"),
        ({"watch": "hidden1:300,0"}, "its indices are 0 to 299, 0 to 63"),
        ({"protect": "output:0,100"}, "its indices are 0 to 9, 0 to 99"),
        (
            {"prune_first": "output.bias:3", "prune_only": "matrices"},
            "prune_first: .output.bias:3. is in output.bias, which",
        ),
        ({"prune_first": "output:0,1", "protect": "output:0,1"}, "is in protect too"),
        ({"scale_weights": "output:0,100*3"}, "its indices are 0 to 9, 0 to 99"),
        ({"scale_weights": "output:0,10"}, r"must read ENTRY\*FACTOR"),
        ({"transplant": "hidden7:0,10"}, "the model has no parameter 'hidden7'"),
        ({"transplant": "hidden1:0,10", "kept": "reinit"}, "transplant: kept 'rewind' takes values from it"),
        ({"watch": "0,1,2"}, "LeNet300100 has no MLP whose down-projection is known"),
        ({"start_level": 2}, "go with start_masks"),
        ({"start_masks": "nowhere.safetensors"}, "cannot read nowhere.safetensors"),
        ({"start_masks": "x", "schedule": "one-shot"}, "go on from the level before"),
        ({"scope": "owl", "granularity": "neurons"}, "scope 'owl' looks at weights and activations"),
        ({"scope": "owl", "sparsifier": "rigl"}, "scope 'owl' looks at weights and activations"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        lth.find_ticket(store=tmp_path / "store", out=tmp_path / "out", **SMALL | settings)
    assert not (tmp_path / "store").exists()


def test_a_protected_weight_is_in_every_ticket_of_the_same_size(watched: lth.Found, store: Path) -> None:
    pruned = [row for row in watched.details["tables"]["watched"] if row["is_kept"] is False]
    assert pruned, "choose a weight that goes"
    name = pruned[0]["weight"]
    held = lth.find_ticket(store=store, out=store.parent / "held", watch=name, protect=name, **SMALL)
    assert all(row["is_kept"] is not False for row in held.details["tables"]["watched"])
    both = ([density(lth.read_ticket(path).masks) for path in each.tickets] for each in (watched, held))
    assert next(both) == next(both)


def test_levels_go_on_from_a_ticket_or_from_masks_of_anyone(watched: lth.Found, store: Path, tmp_path: Path) -> None:
    ticket = next(path for path in watched.tickets if path.name.startswith("level-01-replicate-0"))
    settings = SMALL | {"replicates": 1, "controls": (), "levels": 2}
    again = lth.find_ticket(store=store, out=tmp_path / "again", start_masks=str(ticket), **settings)
    masks = [lth.read_ticket(path).masks for path in again.tickets]
    given = lth.read_ticket(ticket).masks
    assert all(torch.equal(masks[0][name], given[name]) for name in given)
    assert all(bool((masks[1][name] <= given[name]).all()) for name in given)
    save_file({name: mask.to(torch.uint8) for name, mask in masks[1].items()}, tmp_path / "mine.safetensors")
    more = SMALL | {"replicates": 1, "controls": (), "levels": 3}
    path = str(tmp_path / "mine.safetensors")
    with pytest.raises(ValueError, match="raise --start-level"):
        lth.find_ticket(store=store, out=tmp_path / "no", start_masks=path, start_level=1, **more)
    found = lth.find_ticket(store=store, out=tmp_path / "more", start_masks=path, start_level=2, **more)
    levels = [row["at"]["level"] for row in found.results["rows"]]
    assert levels == [0, 2, 3]
    digest = found.results["config"]["start_digest"]
    nodes = [lth.read_ticket(each).trained.masks for each in found.tickets]
    assert isinstance(nodes[0], Given)
    assert nodes[0].digest == digest
    Path(path).unlink()  # the store has them now
    assert torch.equal(Reader(Store(store), Sources()).masks(nodes[0])["hidden1.weight"], masks[1]["hidden1.weight"])
