"""The Python API: functions, arrays and modules of the user's own; nothing is trained twice."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import lth
from lth.lineage import Store, derivation, plan

SMALL = {"levels": 1, "replicates": 2, "duration": "30it", "evaluate_every": 10, "rate": 0.5}


def arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 1, 6, 6)).astype(np.float32)
    y = (x.mean((1, 2, 3)) > 0).astype(np.int64)
    return {"x_train": x[:200], "y_train": y[:200], "x_test": x[200:], "y_test": y[200:]}


def test_any_module_on_own_arrays_in_worker_processes(tmp_path: Path) -> None:
    def make_model(num_classes: int) -> nn.Module:  # a closure: it reaches the workers by value
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, num_classes))

    found = lth.find_ticket(
        make_model, arrays(), model_name="tiny-conv", store=tmp_path / "store", out=tmp_path / "out",
        execution=lth.Execution(workers=2), batch_size=20, **SMALL,
    )  # fmt: skip
    assert found.results["levels"][0]["density"] == 0.5
    ticket = lth.read_ticket(found.tickets[0])
    module = make_model(2)
    lth.apply_masks(ticket, module)
    assert int((module[4].weight == 0).sum()) == 64
    with pytest.raises(ValueError, match="another architecture"):
        lth.apply_masks(ticket, nn.Sequential(nn.Conv2d(1, 5, 3)))


def test_results_follow_the_documented_format(small_study: Path) -> None:
    results = json.loads((small_study / "results.json").read_text())
    assert (results["format"], results["version"]) == ("lth.results", 1)
    for arm in (results["dense"], *results["levels"][0]["arms"].values()):
        for measure in ("test_accuracy", "early_stop_test_accuracy", "validation_loss", "early_stop_iteration"):
            assert set(arm[measure]) == {"mean", "low", "high", "values"}
            assert len(arm[measure]["values"]) == 2
    assert [level["level"] for level in results["levels"]] == [1, 2, 3]
    assert results["levels"][2]["density"] == pytest.approx(0.125, abs=0.01)


def test_a_finished_study_trains_nothing(small_found: lth.Found) -> None:
    store = Store(small_found.folder.parent / "store")
    assert plan(small_found.study.targets, store).works == ()


def test_masks_nest_and_kept_weights_rewind_bit_for_bit(small_found: lth.Found) -> None:
    store = Store(small_found.folder.parent / "store")
    from lth.lineage import Deriver

    deriver = Deriver(store, small_found.study.sources)
    tickets = [run.trained for run in small_found.study.runs if run.arm == "ticket" and run.replicate == 0]
    before = None
    for trained in tickets:
        masks, start = deriver.masks(trained.masks), deriver.weights(trained.start)
        origin = deriver.weights(trained.start.kept)  # the checkpoint of step 20
        end = deriver.weights(trained)
        for name, mask in masks.items():
            assert torch.equal(start[name][mask], origin[name][mask])
            assert not end[name][~mask].any()
            assert before is None or not (mask & ~before[name]).any()
        before = masks
    kinds = {node.kind for node in derivation(tickets[-1]).values()}
    assert kinds == {"Initial", "Dense", "Trained", "Checkpoint", "Pruned", "Combined"}


def test_a_diverging_network_is_named_and_others_are_kept(tmp_path: Path) -> None:
    with pytest.raises(lth.BuildError, match="diverged at step"):
        lth.find_ticket(
            store=tmp_path / "store", out=tmp_path / "out", execution=lth.Execution(workers=0),
            optimizer="sgd", lr=1e9, **SMALL,
        )  # fmt: skip
