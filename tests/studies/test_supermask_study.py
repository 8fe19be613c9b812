"""A study of supermasks: what it asks for, what it measures, and that nothing is done twice."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from builds import HERE, Notes, metrics_in, weights_in
from torch import nn

import lth
from lth.data import load_data
from lth.lineage import BuildError, Evaluated, MaskedNetwork, Store, Trained, derivation
from lth.models import LeNet300100, masks_of
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study, prepare
from lth.studies.supermask import SUPERMASK, LearnSupermask

SMALL: dict[str, Any] = {"replicates": 2, "duration": "120it", "draws": 3}


def study(**fields: Any) -> Study:
    """Two replicates of LeNet-300-100 on the digits, 120 steps."""
    return prepare(SUPERMASK, LearnSupermask(**{**SMALL, **fields}), LeNet300100, load_data("digits"))


def trainings(made: Study) -> list[Trained]:
    """The trainings of a study, by replicate."""
    return [node for node in derivation(*made.targets).values() if isinstance(node, Trained)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> lth.Found:
    """The study above, run."""
    folder = tmp_path_factory.mktemp("supermask")
    return lth.supermask(
        store=folder / "store", out=folder / "out", execution=HERE, progress=False, rescale=True, **SMALL
    )


def store_of(found: lth.Found) -> Store:
    return Store(found.folder.parent / "store")


def accuracies(found: lth.Found) -> dict[str, list[float | None]]:
    """Test accuracies by arm, in the order of the rows."""
    values: dict[str, list[float | None]] = {}
    for row in found.results["rows"]:
        values.setdefault(row["arm"], []).append(row["end"].get("test/accuracy"))
    return values


def test_learned_masks_beat_both_controls(found: lth.Found) -> None:
    values = accuracies(found)
    assert {arm: len(each) for arm, each in values.items()} == {
        "sampled": 6,
        "thresholded": 2,
        "random": 2,
        "untrained": 2,
    }
    assert all(value is not None and value > 0.6 for arm in ("sampled", "thresholded") for value in values[arm])
    assert all(value is not None and value < 0.3 for arm in ("random", "untrained") for value in values[arm])
    assert found.verdict["found"]
    assert found.verdict["title"].startswith("Supermask of lenet-300-100 on digits: test accuracy ")


def test_measures_are_those_of_the_engine_and_the_store(found: lth.Found) -> None:
    """The thresholded masks' accuracy is what the training itself measured; densities are those of its scores."""
    store, made = store_of(found), study(rescale=True)
    assert made.id == found.id
    by_engine = [metrics_in(store, trained)["end"]["test/accuracy"] for trained in trainings(made)]
    assert accuracies(found)["thresholded"] == by_engine
    masks = [masks_of(weights_in(store, trained), made.settings.supermask) for trained in trainings(made)]  # type: ignore[attr-defined]
    rows = found.details["tables"]["densities"]
    assert [row["layer"] for row in rows] == ["hidden1.weight", "hidden2.weight", "output.weight"]
    for row in rows:
        kept = [int(each[row["layer"]].sum()) / each[row["layer"]].numel() for each in masks]
        assert row["values"] == pytest.approx(kept)


def test_a_second_run_trains_nothing_and_says_the_same(found: lth.Found, tmp_path: Path) -> None:
    """From the settings that it left."""
    written = yaml.safe_load((found.folder / "config.yaml").read_text())
    settings = settings_of(SUPERMASK, {name: value for name, value in written.items() if name != "run"})
    again = prepare(SUPERMASK, settings, LeNet300100, load_data("digits"))
    assert (again.id, again.targets) == (found.id, study(rescale=True).targets)
    notes = Notes()
    second = lth.supermask(
        store=store_of(found).root, out=tmp_path, execution=HERE, rescale=True, **SMALL,
        progress=lambda study: Attached(notes),
    )  # fmt: skip
    assert [len(plan.works) for plan in notes.plans] == [0]
    assert {**second.results, "created": ""} == {**found.results, "created": ""}


class Attached:
    """A context that gives an observer."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def __enter__(self) -> Notes:
        return self._notes

    def __exit__(self, *_: object) -> None: ...


def test_edge_popup_keeps_what_is_asked_and_draws_nothing(tmp_path: Path) -> None:
    found = lth.supermask(
        store=tmp_path / "store", out=tmp_path / "out", execution=HERE, progress=False, method="edge_popup",
        density=0.3, replicates=1, duration="20it", precision="float64",
    )  # fmt: skip
    assert "sampled" not in accuracies(found)
    rows = {row["layer"]: row for row in found.details["tables"]["densities"]}
    assert rows["hidden2.weight"]["values"] == [0.3]
    assert rows["hidden2.weight"]["low"] is None  # one replicate has no interval


def test_a_diverged_replicate_is_left_out_and_named(tmp_path: Path) -> None:
    def exploding(input_shape: list[int], num_classes: int) -> nn.Module:
        network = LeNet300100(input_shape, num_classes)
        for layer in (network.hidden1, network.hidden2, network.output):
            layer.weight.data.mul_(1e20)
        return network

    with pytest.raises(BuildError, match="diverged at step"):
        lth.supermask(
            exploding, model_name="exploding", store=tmp_path / "store", out=tmp_path / "out", execution=HERE,
            progress=False, replicates=1, duration="20it", evaluate_every=10,
        )  # fmt: skip


def test_replicates_share_weights_with_the_plain_network() -> None:
    made = study(weights="initial")
    for trained in trainings(made):
        seed = trained.seeds.init
        plain, masked = (made.sources.module(model, seed).state_dict() for model in (made.subject.model, trained.model))
        assert all(torch.equal(value, masked[f"network.{name}"]) for name, value in plain.items())


def test_every_setting_makes_another_study() -> None:
    changes: list[dict[str, Any]] = [
        {}, {"density": 0.4}, {"method": "edge_popup"}, {"rescale": True}, {"weights": "signed_constant"},
        {"initial_score": 1.0}, {"lr": 0.2}, {"seed": 1}, {"draws": 4},
    ]  # fmt: skip
    studies = [study(**fields) for fields in changes]
    assert len({each.id for each in studies}) == len(changes)
    assert trainings(studies[0]) == trainings(studies[-1])  # how often masks are drawn at the end trains nothing anew


def test_networks_are_measured_without_masks_in_their_forward_pass() -> None:
    """What is measured is the plain architecture under masked weights, as anybody may load it."""
    made = study()
    (job,) = {point.job.key: point.job for point in made.points if point.replicate == 0}.values()
    assert isinstance(job, Evaluated)
    assert all(isinstance(node, MaskedNetwork) and node.model == made.subject.model for node in job.weights)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm'"),
        ({"validation": 5000}, "cannot hold out 5000 validation examples of 1078"),
        ({"method": "edge_popup", "density": 1e-6}, "keeps none of the 19200 weights of hidden1.weight"),
    ],
)
def test_settings_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(**fields)


def test_presets_fill_what_a_user_leaves_out() -> None:
    preset = settings_of(SUPERMASK, {"model": "lenet-300-100", "data": "mnist"})
    assert (preset.validation, preset.training.duration) == (5000, "5000it")
    own = settings_of(SUPERMASK, {"model": "mine:make", "data": "mnist"})
    assert own == LearnSupermask(model="mine:make", data="mnist")
    with pytest.raises(ValueError, match="unknown preset 'zhou-supermas'. Did you mean 'zhou-supermask'"):
        settings_of(STUDIES["supermask"], {"preset": "zhou-supermas"})


@pytest.mark.slow
def test_masks_learn_real_images(real_data_dir: Path, tmp_path: Path) -> None:
    found = lth.supermask(
        "lenet-300-100", "mnist", real_data_dir, store=tmp_path / "store", out=tmp_path / "out", execution=HERE,
        progress=False, replicates=1, duration="100it", draws=2,
    )  # fmt: skip
    values = accuracies(found)
    assert min(value for value in values["sampled"] if value is not None) > 0.6
    assert values["random"][0] is not None
    assert values["random"][0] < 0.4
