"""A study of supermasks: what it asks for, what it measures, and that nothing is done twice."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from lth.config.supermask import LearnSupermask, supermask_preset
from lth.data import load_data
from lth.launch.supermask import FoundSupermasks, run_supermask_study
from lth.lineage import Execution, Plan, Store
from lth.models import LeNet300100
from lth.models.supermask import masks_of
from lth.studies.supermask import SupermaskStudy, supermask_study

HERE = Execution(workers=0)


def study(**fields: Any) -> SupermaskStudy:
    """Two replicates of LeNet-300-100 on the digits, 120 steps."""
    config = LearnSupermask(**{"replicates": 2, "duration": "120it", "draws": 3, **fields})
    return supermask_study(config, LeNet300100, load_data("digits"))


class Planned:
    """An observer that keeps the plan."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    def attach(self, study: SupermaskStudy) -> "Planned":
        """Observes this study."""
        return self

    def planned(self, plan: Plan) -> None:
        """Keeps it."""
        self.plans.append(plan)

    def started(self, key: str) -> None: ...
    def progress(self, key: str, step: int, accuracy: float | None) -> None: ...
    def finished(self, key: str) -> None: ...
    def skipped(self, key: str, reason: str) -> None: ...
    def waiting(self, keys: Sequence[str]) -> None: ...
    def noted(self, text: str) -> None: ...


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> FoundSupermasks:
    """The study above, run."""
    folder = tmp_path_factory.mktemp("supermask")
    return run_supermask_study(study(rescale=True), Store(folder / "store"), HERE, out=folder / "out")


def store_of(found: FoundSupermasks) -> Store:
    return Store(found.folder.parent / "store")


def test_learned_masks_beat_both_controls(found: FoundSupermasks) -> None:
    accuracy = found.results["test_accuracy"]
    assert accuracy["sampled"]["mean"] > 0.8
    assert accuracy["thresholded"]["mean"] > 0.8
    assert accuracy["random"]["mean"] < 0.3
    assert accuracy["untrained"]["mean"] < 0.3
    assert all(len(accuracy[kind]["values"]) == 2 for kind in accuracy)
    assert found.results["diverged"] == 0


def test_measures_are_those_of_the_engine_and_the_store(found: FoundSupermasks) -> None:
    store, results = store_of(found), found.results
    assert results["format"] == "lth.supermask/1"
    assert results == json.loads((found.folder / "results.json").read_text())
    by_engine = [store.read_metrics(trained)["test_accuracy"] for trained in found.study.targets]
    assert results["test_accuracy"]["thresholded"]["values"] == by_engine
    masks = [masks_of(store.read_weights(trained), found.study.config.supermask) for trained in found.study.targets]
    assert list(results["density_by_tensor"]) == ["hidden1.weight", "hidden2.weight", "output.weight"]
    for name, density in results["density_by_tensor"].items():
        assert density["values"] == [int(each[name].sum()) / each[name].numel() for each in masks]
    total = sum(mask.numel() for mask in masks[0].values())
    assert results["density"]["values"] == [sum(int(mask.sum()) for mask in each.values()) / total for each in masks]


def test_a_second_run_trains_nothing_and_says_the_same(found: FoundSupermasks, tmp_path: Path) -> None:
    config = LearnSupermask(**yaml.safe_load((found.folder / "config.yaml").read_text()))
    again = supermask_study(config, LeNet300100, load_data("digits"))
    assert (again.id, again.targets) == (found.study.id, found.study.targets)
    observer = Planned()
    second = run_supermask_study(again, store_of(found), HERE, observer.attach, tmp_path)
    assert [len(plan.works) for plan in observer.plans] == [0]
    assert second.results == found.results


def test_edge_popup_keeps_what_is_asked_and_draws_nothing(tmp_path: Path) -> None:
    asked = study(method="edge_popup", density=0.3, replicates=1, duration="20it", precision="float64")
    results = run_supermask_study(asked, Store(tmp_path / "store"), HERE, out=tmp_path / "out").results
    assert results["test_accuracy"]["sampled"] is None
    assert results["density_by_tensor"]["hidden2.weight"]["values"] == [0.3]
    assert results["density"]["low"] is None  # one replicate has no interval


def test_a_diverged_replicate_has_no_values(tmp_path: Path) -> None:
    def exploding(input_shape: list[int], num_classes: int) -> nn.Module:
        network = LeNet300100(input_shape, num_classes)
        for layer in (network.hidden1, network.hidden2, network.output):
            layer.weight.data.mul_(1e20)
        return network

    config = LearnSupermask(model="exploding", replicates=1, duration="20it", evaluate_every=10)
    asked = supermask_study(config, exploding, load_data("digits"))
    results = run_supermask_study(asked, Store(tmp_path / "store"), HERE, out=tmp_path / "out").results
    assert results["diverged"] == 1
    assert results["test_accuracy"]["thresholded"]["values"] == [None]
    assert results["density"]["mean"] is None


def test_replicates_share_weights_with_the_plain_network() -> None:
    asked = study(weights="initial")
    plain = asked.model.model_copy(update={"supermask": None})
    for trained in asked.targets:
        seed = trained.seeds.init
        weights, masked = (asked.sources.module(model, seed).state_dict() for model in (plain, asked.model))
        assert all(torch.equal(value, masked[f"network.{name}"]) for name, value in weights.items())


def test_every_setting_makes_another_study() -> None:
    changes: list[dict[str, Any]] = [
        {}, {"density": 0.4}, {"method": "edge_popup"}, {"rescale": True}, {"weights": "signed_constant"},
        {"initial_score": 1.0}, {"lr": 0.2}, {"seed": 1}, {"draws": 4},
    ]  # fmt: skip
    studies = [study(**fields) for fields in changes]
    assert len({each.id for each in studies}) == len(changes)
    assert studies[0].targets == studies[-1].targets  # how often masks are drawn at the end trains nothing anew


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm'"),
        ({"validation": 5000}, "validation: 5000 examples cannot be held out"),
        ({"method": "edge_popup", "density": 1e-6}, "keeps none of the 19200 weights of hidden1.weight"),
    ],
)
def test_settings_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(**fields)


def test_presets_fill_what_a_user_leaves_out() -> None:
    assert supermask_preset("lenet-300-100", "mnist").validation == 5000
    assert supermask_preset("mine:make", "mnist") == LearnSupermask(model="mine:make", data="mnist")
    assert set(LearnSupermask.model_fields) >= {*LearnSupermask().recipe.model_dump()}


def test_masks_learn_real_images(real_data_dir: Path, tmp_path: Path) -> None:
    config = supermask_preset("lenet-300-100", "mnist").model_copy(
        update={"replicates": 1, "duration": "100it", "draws": 2}
    )
    asked = supermask_study(config, LeNet300100, load_data("mnist", real_data_dir))
    accuracy = run_supermask_study(asked, Store(tmp_path / "store"), HERE, out=tmp_path / "out").results[
        "test_accuracy"
    ]
    assert accuracy["sampled"]["mean"] > 0.6
    assert accuracy["random"]["mean"] < 0.4
